"""The node that puts ILVR on a MODEL."""

from __future__ import annotations

from typing import Any, get_args

import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import InputError, Reference
from ...ilvr_latent.diffusion.noise import ReferenceNoise
from ...ilvr_latent.guides.ilvr import Space
from ...ilvr_latent.guides.lowpass import Kernel
from ..driver import guided
from ..fitting import check_channels
from ..schema import schema
from .matching import Condition, HostILVR
from .widgets import RangeUnit, WeightKind, chosen_weight, chosen_window


class ILVRApply(io.ComfyNode):
    """Hold what a MODEL samples to the low frequencies of a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRApply",
            search_aliases=[
                "reference image",
                "image to image",
                "style",
                "composition",
                "low frequencies",
                "DDNM",
            ],
            display_name="ILVR Apply",
            category="ILVR",
            description=(
                "Gives the picture the layout and the colours of a reference; everything finer "
                "comes from the model and the prompt. No training, any sampler. Chain several to "
                "use several references."
            ),
            inputs=[
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
                    default=4.0,
                    min=1.0,
                    max=256.0,
                    step=0.25,
                    tooltip=(
                        "How much is left to the model: detail smaller than this many latent "
                        "cells (8 pixels each in most models). 1 copies the reference, 2 keeps "
                        "shapes, 4 keeps the layout, 8 and more keep little but the colours."
                    ),
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip=(
                        "When to begin following the reference, in timesteps as in other nodes: "
                        "0 = from the first step, the pure noise included (0.001 leaves that as "
                        "it was drawn, like the paper). Later, the model chooses the layout first."
                    ),
                ),
                io.Float.Input(
                    "end_percent",
                    default=0.8,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip=(
                        "When to stop. 1 = to the end: closest to the reference, but its blur "
                        "may stay in the picture. Earlier, the model finishes on its own: "
                        "sharper, and farther from the reference."
                    ),
                ),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
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
                io.Combo.Input(
                    "space",
                    options=list(get_args(Space)),
                    default="state",
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
                    default="hybrid",
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
                    default="cubic",
                    optional=True,
                    tooltip=(
                        "Shape of the low-pass filter. cubic is the paper's. box and spectral "
                        "match exactly and change nothing else."
                    ),
                ),
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
                io.Float.Input(
                    "end_weight",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="The weight at the end of the range, for linear and cosine.",
                ),
                io.String.Input(
                    "weight_points",
                    default="0:1, 0.5:0.8, 1:0",
                    optional=True,
                    tooltip=(
                        "For weight_schedule = points: pairs of progress through the range (0 = "
                        "its start, 1 = its end) and weight, with straight lines between them. "
                        "All are multiplied with weight. Two at one place are a jump."
                    ),
                ),
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
            ],
            outputs=[io.Model.Output(tooltip="The model, following the reference.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        reference: dict[str, Any],
        factor: float,
        start_percent: float,
        end_percent: float,
        weight: float,
        mask: Tensor | None = None,
        space: Space = "state",
        noise: ReferenceNoise = "hybrid",
        kernel: Kernel = "cubic",
        weight_schedule: WeightKind = "constant",
        end_weight: float = 0.0,
        weight_points: str = "0:1, 0.5:0.8, 1:0",
        range_unit: RangeUnit = "percent",
        start_step: int = 0,
        end_step: int = 10000,
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: the reference, the mask or a number cannot be used.
        """
        window = chosen_window(range_unit, start_percent, end_percent, start_step, end_step)
        samples = _samples(reference)
        _check_model(model, samples)
        if mask is not None:
            _check_mask(mask)
        condition = Condition(
            Reference(
                samples,
                factor,
                window=window,
                weight=chosen_weight(weight_schedule, weight, end_weight, weight_points),
                mask=mask,
                kernel=kernel,
            ),
            space,
            noise,
            getattr(cls.hidden, "unique_id", None),
        )
        return io.NodeOutput(guided(model, HostILVR(condition)))


def _samples(reference: dict[str, Any]) -> Tensor:
    samples: Tensor | None = reference.get("samples")
    if samples is None:
        raise InputError(
            "The reference is an empty latent (it has no samples); plug in the LATENT of ILVR "
            "Reference (VAE Encode)."
        )
    return samples


def _check_model(model: ModelPatcher, samples: Tensor) -> None:
    latent_format = model.get_model_object("latent_format")
    if latent_format.latent_dimensions not in (2, 3):
        raise InputError(
            "This model does not sample pictures (its latent is "
            f"{latent_format.latent_dimensions}-dimensional); ILVR needs an image or video model."
        )
    if getattr(samples, "is_nested", False) or samples.ndim not in (4, 5):
        raise InputError(
            "The reference is not the latent of a picture or a video; "
            "encode an image with ILVR Reference (VAE Encode)."
        )
    check_channels(samples.shape[1], latent_format.latent_channels)


def _check_mask(mask: Tensor) -> None:
    if mask.numel() == 0 or not bool(torch.any(mask > 0)):
        raise InputError(
            "The mask is black everywhere, so nothing would be matched; paint the area to hold "
            "to the reference white, or unplug the mask."
        )
