"""The conditioning range: which steps are matched, and how far along the range a step is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

from .. import defaults
from ..diffusion.schedule import Step
from ..errors import InputError

Gate = Literal["producing", "level"]


@dataclass(frozen=True)
class Window:
    """Which steps are matched: the paper's conditioning range.

    ``Window(start, end)`` is in fractions of the forward process, 0 = the noisiest timestep and
    1 = t 0, as ComfyUI counts. A step belongs to the window by the timestep it starts from.

    Args:
        start: where the window begins, the noisier end.
        end: where it ends.
        unit: of both.
        gate: which states a step in the window stands for. ``producing``, the paper: the state
            that the step produces, so x_T, which none does, stays as it was drawn. ``level``: the
            state that the step starts from, x_T included, and the finished picture where the window
            reaches the end; for samplers that ask the network between their steps.

    Raises:
        InputError: the bounds are reversed, outside their range or not numbers, or the gate is
            unknown.
    """

    start: float = defaults.START
    end: float = defaults.END
    unit: Literal["fraction", "timestep", "step"] = "fraction"
    gate: Gate = "producing"

    def __post_init__(self) -> None:
        if self.gate not in get_args(Gate):
            raise InputError(
                f"The window's gate is {self.gate!r}; use one of {list(get_args(Gate))}."
            )
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

    def clipped(self, steps: int) -> Window:
        """The same window of a run of so many steps: one in steps may end beyond the last."""
        if self.unit != "step" or self.end < steps:
            return self
        return dataclasses.replace(self, end=max(self.start, steps - 1))

    def contains(self, step: Step) -> bool:
        """Whether a step is in the window."""
        if self.unit == "fraction":
            return step.between(self.start, self.end)
        low, high = sorted((self.start, self.end))
        return low <= self._position(step) <= high

    def reaches_the_end(self, steps: int) -> bool:
        """Whether the finished picture of a run of so many steps is in the window."""
        ends = {"fraction": self.end >= 1, "timestep": self.end <= 0}
        return ends.get(self.unit, self.start <= steps - 1 <= self.end)

    def progress(self, step: Step) -> float:
        """How far along the window a step of it is, 0 at its start to 1 at its end."""
        span = self.end - self.start
        return (self._position(step) - self.start) / span if span else 0.0

    def _position(self, step: Step) -> float:
        """Where ``step`` is, in the window's own unit."""
        if self.unit == "fraction":
            return step.fraction
        return step.t if self.unit == "timestep" else step.index
