"""What the widgets of ILVR Apply say, as the core's factor, window and weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...ilvr_latent import InputError, WeightSchedule, Window, defaults
from ...ilvr_latent.diffusion.noise import ReferenceNoise
from ...ilvr_latent.guides.bands import Band
from ...ilvr_latent.guides.frames import FramesFit
from ...ilvr_latent.guides.lowpass import Kernel
from ...ilvr_latent.guides.reference import FactorUnit, Space
from ...ilvr_latent.guides.weight import Weight

RangeUnit = Literal["percent", "steps"]
WeightKind = Literal["constant", "linear", "cosine", "points"]
Unit = Literal["cells", "pixels", "share"]
WEIGHT_POINTS = "0:1, 0.5:0.8, 1:0"


@dataclass(frozen=True)
class Expert:
    """The inputs that a newcomer does not need; the names are those of the node."""

    space: Space = defaults.SPACE
    noise: ReferenceNoise = defaults.NOISE_OF_OTHER_SAMPLERS
    kernel: Kernel = defaults.KERNEL
    weight_schedule: WeightKind = "constant"
    end_weight: float = 0.0
    weight_points: str = WEIGHT_POINTS
    range_unit: RangeUnit = "percent"
    start_step: int = 0
    end_step: int = 10000
    factor_unit: Unit = "cells"
    band: Band = "coarse"
    frames_factor: float = 1.0
    frame_weights: str = ""
    frames_fit: FramesFit = "stretch"


def chosen_factor(factor: float, unit: Unit, cell: int) -> tuple[float, FactorUnit]:
    """The factor as the core counts it, and its unit there.

    Args:
        factor: as typed.
        unit: what it counts.
        cell: pixels to a cell of the model's latent.

    Raises:
        InputError: it is less than a cell.
    """
    if unit == "share":
        return factor, "share"
    if unit == "pixels" and factor < cell:
        raise InputError(
            f"factor is {factor:g} pixels, less than a cell of this model's latent ({cell}); use "
            f"{cell} (the reference itself) or more."
        )
    return (factor / cell if unit == "pixels" else factor), "cells"


def chosen_window(start_percent: float, end_percent: float, expert: Expert) -> Window:
    """The range, in the unit that was chosen; its states are known by their noise levels.

    Args:
        start_percent: 0 to 1.
        end_percent: 0 to 1.
        expert: has the unit, and the range in steps: the first step in it, from 0, and the first
            after it; at or beyond the number of steps: to the end.

    Raises:
        InputError: the range is empty.
    """
    in_steps = expert.range_unit == "steps"
    start, end = start_percent, end_percent
    if in_steps:
        start, end = expert.start_step, expert.end_step
    if not start < end:
        name = "step" if in_steps else "percent"
        raise InputError(
            f"start_{name} is {start:g} and end_{name} {end:g}, so no step would be matched; "
            f"make start_{name} the smaller one."
        )
    if in_steps:
        return Window(start, end - 1, "step", gate="level")
    return Window(start, end, gate="level")


def chosen_weight(weight: float, expert: Expert) -> Weight:
    """The weight, as it was chosen to change over the range.

    Args:
        weight: 0 to 1; for points, what they are multiplied with.
        expert: has the kind of change, and its numbers.

    Raises:
        InputError: a weight outside [0, 1], or points that cannot be read.
    """
    if expert.weight_schedule == "constant":
        return weight
    if expert.weight_schedule == "points":
        return WeightSchedule.parse(expert.weight_points).scaled(weight)
    return WeightSchedule.ramp(weight, expert.end_weight, expert.weight_schedule)


def chosen_frame_weights(expert: Expert) -> WeightSchedule | None:
    """How strictly each frame of a video is held; ``None`` where nothing was typed: all alike.

    Raises:
        InputError: points that cannot be read.
    """
    return WeightSchedule.parse(expert.frame_weights) if expert.frame_weights.strip() else None
