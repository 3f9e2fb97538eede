"""Which rows a table has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..guides.lowpass import LowPass
from ..guides.window import Window


@dataclass(frozen=True)
class Setting:
    """What is varied: one row.

    Attributes:
        factor: N, or ``None`` for samples without a reference.
        hi: matched while hi >= t ...
        lo: ... >= lo.
    """

    factor: float | None
    hi: int = 0
    lo: int = 0

    @property
    def name(self) -> str:
        """For a folder."""
        return "unguided" if self.factor is None else f"N{self.factor:g}_t{self.hi}-{self.lo}"

    @property
    def window(self) -> Window:
        """The conditioning range."""
        return Window.timesteps(self.hi, self.lo)


UNGUIDED = Setting(None)


@dataclass(frozen=True)
class Plan:
    """The rows of both tables.

    Attributes:
        by_factor: the whole range, one N after the other.
        by_range: one N, one range after the other.
    """

    by_factor: tuple[Setting, ...]
    by_range: tuple[Setting, ...]

    @classmethod
    def of(
        cls,
        factors: Sequence[float],
        ranges: Sequence[str],
        range_factor: float,
        timesteps: int,
    ) -> Plan:
        """From what a user asks for.

        Args:
            factors: each N of the first table.
            ranges: each range of the second, such as ``1000-500``.
            range_factor: N of the second.
            timesteps: of the model: where the whole range starts.

        Raises:
            InputError: a factor or a range can't be one.
        """
        for factor in (*factors, range_factor):
            LowPass(factor)
        bounds = dict.fromkeys(map(parse_range, ranges))
        return cls(
            tuple(Setting(factor, timesteps, 0) for factor in dict.fromkeys(factors)),
            tuple(Setting(range_factor, hi, lo) for hi, lo in bounds),
        )

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Everything that must be sampled, each once."""
        return tuple(dict.fromkeys((UNGUIDED, *self.by_factor, *self.by_range)))


def parse_range(text: str) -> tuple[int, int]:
    """``1000-500`` as (1000, 500).

    Raises:
        InputError: it is not two whole numbers, the higher one first.
    """
    hi, _, lo = text.partition("-")
    if not (hi.isdecimal() and lo.isdecimal()):
        raise InputError(f"The range is {text!r}; write timesteps as HI-LO, such as 1000-500.")
    Window.timesteps(int(hi), int(lo))
    return int(hi), int(lo)
