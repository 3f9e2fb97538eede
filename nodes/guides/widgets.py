"""The inputs of ILVR Apply."""

from __future__ import annotations

from typing import Any, get_args

from comfy_api.latest import io

from ...ilvr_latent import defaults
from ...ilvr_latent.guides.bands import Band
from ...ilvr_latent.guides.frames import FramesFit
from ...ilvr_latent.guides.lowpass import Kernel
from ...ilvr_latent.guides.reference import Space
from ..schema import advanced, fraction
from .widget_values import WEIGHT_POINTS, RangeUnit, Unit, WeightKind


def inputs() -> list[Any]:
    """All of them, in the order of the node: a workflow's values belong to places."""
    expert = [*_matching_inputs(), *_weight_inputs(), *_range_inputs(), _factor_unit()]
    expert += _band_inputs()
    return [*_main_inputs(), *map(advanced, expert)]


def _main_inputs() -> list[Any]:
    """What is followed, how coarsely, when and how strictly."""
    return [
        io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
        io.Latent.Input(
            "reference",
            tooltip=(
                "What the layout and the colours are taken from, encoded with this "
                "model's VAE. Any size; it is resized to the sampled latent."
            ),
        ),
        io.Float.Input(
            "factor",
            default=defaults.NODE_FACTOR,
            min=0.001,
            max=4096.0,
            step=0.25,
            tooltip=(
                "How much is left to the model: detail smaller than this many latent "
                "cells (8 pixels each in most models, 1 in pixel models). What counts is "
                "the share of the picture's side: 1/16 keeps shapes (4 cells at 512 pixels), "
                "1/8 the layout (8), 1/4 colours and their place (16). 1 copies the reference."
            ),
        ),
        fraction(
            "start_percent",
            0.0,
            display_mode=io.NumberDisplay.slider,
            tooltip=(
                "When to begin following the reference, in timesteps as in other nodes: "
                "0 = from the first step, the pure noise included (0.001 leaves that as "
                "it was drawn, like the paper). Later, the model chooses the layout first."
            ),
        ),
        fraction(
            "end_percent",
            defaults.NODE_END,
            display_mode=io.NumberDisplay.slider,
            tooltip=(
                "When to stop. 1 = to the end: closest to the reference, but its blur "
                "may stay in the picture. Earlier, the model finishes on its own: "
                "sharper, and farther from the reference."
            ),
        ),
        fraction(
            "weight",
            1.0,
            step=0.01,
            display_mode=io.NumberDisplay.slider,
            tooltip=(
                "How strictly the reference is followed: 0 = not at all (the picture is "
                "the same as without this node), 1 = as in the paper. If it changes over "
                "the range, the weight at its start."
            ),
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Where to follow the reference: white = yes. Elsewhere the model "
            "is free. Any size, soft edges are kept.",
        ),
    ]


def _matching_inputs() -> list[Any]:
    """How the reference is compared with what is sampled."""
    return [
        io.Combo.Input(
            "space",
            options=list(get_args(Space)),
            default=defaults.SPACE,
            optional=True,
            tooltip=(
                "state (the paper) matches the noisy picture at each step. prediction "
                "matches the model's guess of the finished picture: calmer with few "
                "steps, a little less lively."
            ),
        ),
        io.Combo.Input(
            "noise",
            options=["hybrid", "fresh", "fixed"],
            default=defaults.NOISE_OF_OTHER_SAMPLERS,
            optional=True,
            tooltip=(
                "Noise of the reference, for space = state. fresh (the paper) is drawn "
                "anew at every step and follows it best, fixed is drawn once and leaves "
                "the model a little more room, hybrid goes from one to the other."
            ),
        ),
        io.Combo.Input(
            "kernel",
            options=list(get_args(Kernel)),
            default=defaults.KERNEL,
            optional=True,
            tooltip=(
                "Shape of the low-pass filter. cubic is the paper's. box and spectral "
                "match exactly and change nothing else."
            ),
        ),
    ]


def _weight_inputs() -> list[Any]:
    """How the weight changes over the range."""
    return [
        io.Combo.Input(
            "weight_schedule",
            options=list(get_args(WeightKind)),
            default="constant",
            optional=True,
            tooltip=(
                "How the weight changes over the range. constant keeps it. linear and "
                "cosine go from weight to end_weight: falling, the reference lets go "
                "little by little instead of all at once. points goes through "
                "weight_points."
            ),
        ),
        fraction(
            "end_weight",
            0.0,
            step=0.01,
            optional=True,
            tooltip="The weight at the end of the range, for linear and cosine.",
        ),
        io.String.Input(
            "weight_points",
            default=WEIGHT_POINTS,
            optional=True,
            tooltip=(
                "For weight_schedule = points: pairs of progress through the range (0 = "
                "its start, 1 = its end) and weight, with straight lines between them. "
                "All are multiplied with weight. Two at one place are a jump."
            ),
        ),
    ]


def _range_inputs() -> list[Any]:
    """The range in sampling steps."""
    return [
        io.Combo.Input(
            "range_unit",
            options=list(get_args(RangeUnit)),
            default="percent",
            optional=True,
            tooltip=(
                "percent counts timesteps, whatever the number of steps: start_percent "
                "and end_percent say when to follow the reference. steps counts what the "
                "sampler does: start_step and end_step say it."
            ),
        ),
        io.Int.Input(
            "start_step",
            default=0,
            min=0,
            max=10000,
            optional=True,
            tooltip=(
                "For range_unit = steps: the first step that follows the reference, from "
                "0, counted from where this sampler begins. 1 leaves the pure noise as it "
                "was drawn, like the paper."
            ),
        ),
        io.Int.Input(
            "end_step",
            default=10000,
            min=1,
            max=10000,
            optional=True,
            tooltip=(
                "For range_unit = steps: the first step that no longer follows the "
                "reference. As many as the sampler has, or more: to the end, finished "
                "picture included."
            ),
        ),
    ]


def _factor_unit() -> Any:
    return io.Combo.Input(
        "factor_unit",
        options=list(get_args(Unit)),
        default="cells",
        optional=True,
        tooltip=(
            "What factor counts. cells of the latent, pixels of the picture, or a share of its "
            "shorter side (0.0625 is 1/16), which means the same on every model and at every size."
        ),
    )


def _band_inputs() -> list[Any]:
    """Which part of the reference is held, and the time of videos."""
    return [
        io.Combo.Input(
            "band",
            options=list(get_args(Band)),
            default="coarse",
            optional=True,
            tooltip=(
                "What of the reference is held. coarse (the paper): what is larger than factor. "
                "fine: the rest, so details stay and light, colours and layout are free. fast, for "
                "videos: of the coarse part, what changes within frames_factor frames; a still "
                "picture then takes the flicker away."
            ),
        ),
        io.Float.Input(
            "frames_factor",
            default=1.0,
            min=1.0,
            max=4096.0,
            step=0.5,
            optional=True,
            tooltip=(
                "For videos: what changes within this many frames of the latent (of most models 4 "
                "frames of the film each) is left to the model, and the slow course is held. 1 "
                "holds every frame; as many as there are hold their mean alone. Above 1, or with "
                "frame_weights, a batch of pictures is a clip (AnimateDiff, SVD)."
            ),
        ),
        io.String.Input(
            "frame_weights",
            default="",
            optional=True,
            tooltip=(
                "For videos, how strictly each frame is held: pairs of place in time (0 = the "
                "first frame, 1 = the last) and weight, with straight lines between them. 0:1, "
                "0.5:0 holds the beginning and lets go. Empty: all alike."
            ),
        ),
        io.Combo.Input(
            "frames_fit",
            options=list(get_args(FramesFit)),
            default="stretch",
            optional=True,
            tooltip=(
                "For videos, a reference of another length. stretch lays it over the whole time: "
                "two key frames become a fade. hold begins with it and then keeps its last frame: "
                "to go on from the end of another clip."
            ),
        ),
    ]
