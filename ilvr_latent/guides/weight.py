"""The weight of eq. 8 as a function of how far the range has come.

    p       progress through the range, 0 (its first step) to 1 (its end)
    w(p)    weight, 0 (off) to 1 (the paper)
    p_i, w_i    the given points

Between two points, with u = (p - p_i) / (p_{i+1} - p_i):

    linear  w(p) = w_i + (w_{i+1} - w_i) u
    cosine  w(p) = w_i + (w_{i+1} - w_i) (1 - cos(pi u)) / 2

Before the first point and after the last the weight stays what it is there.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import InputError

Easing = Literal["linear", "cosine"]


def check_weight(weight: float) -> None:
    """Refuse what is no weight.

    Raises:
        InputError: outside [0, 1], or not a number.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"The weight is {weight}; use a number from 0 (off) to 1 (the paper).")


@dataclass(frozen=True)
class WeightSchedule:
    """A weight that changes over the range; the module has the formula.

    >>> WeightSchedule.ramp(1.0, 0.0)(0.25)
    0.75

    Args:
        points: (progress, weight) pairs, the progress ascending. Two points may have the same
            progress: the weight jumps there, to the later one.
        easing: the way from one point to the next, ``linear`` or ``cosine``.

    Raises:
        InputError: no point, a point outside [0, 1], or points that are not in order.
    """

    points: tuple[tuple[float, float], ...]
    easing: Easing = "linear"

    def __post_init__(self) -> None:
        if not self.points:
            raise InputError("The weight has no points; give at least one, such as 0:1.")
        if self.easing not in get_args(Easing):
            raise InputError(
                f"The easing of the weight is {self.easing!r}; use one of {list(get_args(Easing))}."
            )
        for progress, weight in self.points:
            check_weight(weight)
            if not 0 <= progress <= 1:
                raise InputError(
                    f"A point of the weight is at {progress}; use 0 (the start of the range) to 1 "
                    "(its end)."
                )
        for (before, _), (after, _) in itertools.pairwise(self.points):
            if before > after:
                raise InputError(
                    f"The weight's point at {after:g} comes after the one at {before:g}; "
                    "give the points in ascending order."
                )

    @classmethod
    def ramp(cls, start: float, end: float, easing: Easing = "linear") -> WeightSchedule:
        """From one weight at the start of the range to another at its end."""
        return cls(((0.0, start), (1.0, end)), easing)

    @classmethod
    def parse(cls, text: str, easing: Easing = "linear") -> WeightSchedule:
        """Points as a user writes them: ``"0:1, 0.5:0.8, 1:0"``.

        Raises:
            InputError: the text cannot be read, or holds no such points.
        """
        points = []
        for part in text.split(","):
            try:
                progress, weight = (float(number) for number in part.split(":"))
            except ValueError:
                raise InputError(
                    f"The weight's point {part.strip()!r} cannot be read; write PROGRESS:WEIGHT, "
                    "and commas between points, such as 0:1, 0.5:0.8, 1:0."
                ) from None
            points.append((progress, weight))
        return cls(tuple(points), easing)

    def scaled(self, factor: float) -> WeightSchedule:
        """Every weight times ``factor``, which is from 0 to 1."""
        return WeightSchedule(tuple((p, factor * w) for p, w in self.points), self.easing)

    def __call__(self, progress: float) -> float:
        """w(p)."""
        after = next((i for i, (p, _) in enumerate(self.points) if p > progress), len(self.points))
        if after == 0:
            return self.points[0][1]
        p, w = self.points[after - 1]
        if after == len(self.points):
            return w
        p_next, w_next = self.points[after]
        u = (progress - p) / (p_next - p)
        share = u if self.easing == "linear" else (1 - math.cos(math.pi * u)) / 2
        return w + (w_next - w) * share

    def __bool__(self) -> bool:
        """Whether it is above 0 anywhere."""
        return any(weight > 0 for _, weight in self.points)

    def __str__(self) -> str:
        return ", ".join(f"{p:g}:{w:g}" for p, w in self.points)


Weight = float | WeightSchedule


def parse_weight(text: str, easing: Easing = "linear") -> Weight:
    """A weight as a user writes it: a number, or the points of a schedule.

    Args:
        text: as it was typed.
        easing: between points.

    Raises:
        InputError: the text is neither.
    """
    try:
        weight = float(text)
    except ValueError:
        return WeightSchedule.parse(text, easing)
    check_weight(weight)
    return weight


def weight_at(weight: Weight, progress: float) -> float:
    """The weight at a point of the range, whether it changes or not."""
    return weight(progress) if isinstance(weight, WeightSchedule) else weight
