"""What the widgets of ILVR Apply say, as the core's range and weight."""

from __future__ import annotations

from typing import Literal

from ...ilvr_latent import InputError, WeightSchedule, Window
from ...ilvr_latent.guides.weight import Weight

RangeUnit = Literal["percent", "steps"]
WeightKind = Literal["constant", "linear", "cosine", "points"]


def chosen_window(
    unit: RangeUnit, start_percent: float, end_percent: float, start_step: int, end_step: int
) -> Window:
    """The range, in the unit that was chosen.

    Args:
        unit: ``percent`` of the timesteps, or ``steps`` of the sampler.
        start_percent: 0 to 1.
        end_percent: 0 to 1.
        start_step: the first step in the range, from 0.
        end_step: the first step after it; at or beyond the number of steps: to the end.

    Raises:
        InputError: the range is empty, or the unit unknown.
    """
    if unit not in ("percent", "steps"):
        raise InputError(f"range_unit is {unit!r}; use 'percent' or 'steps'.")
    start, end = (start_percent, end_percent) if unit == "percent" else (start_step, end_step)
    if not start < end:
        name = unit.removesuffix("s")
        raise InputError(
            f"start_{name} is {start:g} and end_{name} {end:g}, so no step would be matched; "
            f"make start_{name} the smaller one."
        )
    if unit == "steps":
        return Window.steps(start_step, end_step - 1)
    return Window(start_percent, end_percent)


def chosen_weight(kind: WeightKind, weight: float, end_weight: float, points: str) -> Weight:
    """The weight, as it was chosen to change over the range.

    Args:
        kind: ``constant``; ``linear`` or ``cosine`` from ``weight`` to ``end_weight``; ``points``.
        weight: 0 to 1; for ``points``, what they are multiplied with.
        end_weight: 0 to 1.
        points: progress and weight, such as ``"0:1, 0.5:0.8, 1:0"``.

    Raises:
        InputError: a weight outside [0, 1], points that cannot be read, or an unknown kind.
    """
    if kind == "constant":
        return weight
    if kind == "points":
        return WeightSchedule.parse(points).scaled(weight)
    if kind in ("linear", "cosine"):
        return WeightSchedule.ramp(weight, end_weight, kind)
    raise InputError(
        f"weight_schedule is {kind!r}; use 'constant', 'linear', 'cosine' or 'points'."
    )
