"""The conditioning range: which steps are matched, and how far along the range a step is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..diffusion.schedule import Step
from ..errors import InputError


@dataclass(frozen=True)
class Window:
    """Which steps are matched: the paper's conditioning range.

    ``Window(start, end)`` is in fractions of the forward process, 0 = the noisiest timestep and
    1 = t 0, as ComfyUI counts. A step belongs to the window by the timestep it starts from.

    Raises:
        InputError: the bounds are reversed, outside their range or not numbers.
    """

    start: float = 0.0
    end: float = 1.0
    unit: Literal["fraction", "timestep", "step"] = "fraction"

    def __post_init__(self) -> None:
        if self.unit == "fraction" and not 0 <= self.start < self.end <= 1:
            raise InputError(
                f"The window starts at {self.start} and ends at {self.end}; "
                "use fractions with 0 <= start < end <= 1 (0 is the noisiest end)."
            )
        if self.unit == "timestep" and not self.start >= self.end >= 0:
            raise InputError(
                f"The window goes from timestep {self.start} down to {self.end}; "
                "give the higher (noisier) one first, and none below 0."
            )
        if self.unit == "step" and not 0 <= self.start <= self.end:
            raise InputError(
                f"The window goes from step {self.start} to step {self.end}; "
                "steps count upwards from 0 (the noisiest)."
            )

    @classmethod
    def timesteps(cls, hi: int, lo: int) -> Window:
        """Match while hi >= t >= lo, in original timesteps (the paper's "1000 - 200")."""
        return cls(hi, lo, "timestep")

    @classmethod
    def steps(cls, first: int, last: int) -> Window:
        """Match sampling steps ``first`` to ``last``, both included, 0 = the noisiest."""
        return cls(first, last, "step")

    def contains(self, step: Step) -> bool:
        """Whether the state that ``step`` produces is matched."""
        low, high = sorted((self.start, self.end))
        return low <= self._position(step) <= high

    def progress(self, step: Step) -> float:
        """How far along the window a step of it is, 0 at its start to 1 at its end."""
        span = self.end - self.start
        return (self._position(step) - self.start) / span if span else 0.0

    def _position(self, step: Step) -> float:
        """Where ``step`` is, in the window's own unit."""
        return {"fraction": step.fraction, "timestep": step.t, "step": step.index}[self.unit]
