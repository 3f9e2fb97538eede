"""The node that puts ILVR on a MODEL."""

from __future__ import annotations

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import ILVR, InputError, Reference
from ..driver import guided
from ..fitting import check_channels, pixels_to_a_cell
from ..schema import schema
from .widgets import Expert, chosen_factor, chosen_weight, chosen_window, inputs


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
            inputs=inputs(),
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
        **expert: Any,
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: the reference, the mask or a number cannot be used.
        """
        chosen = Expert(**expert)
        window = chosen_window(start_percent, end_percent, chosen)
        samples = _samples(reference)
        _check_model(model, samples)
        if mask is not None:
            _check_mask(mask)
        cell = pixels_to_a_cell(model.get_model_object("latent_format"))
        cells_or_share, unit = chosen_factor(factor, chosen.factor_unit, cell)
        guide = ILVR(
            Reference(
                samples,
                cells_or_share,
                factor_unit=unit,
                window=window,
                weight=chosen_weight(weight, chosen),
                mask=mask,
                kernel=chosen.kernel,
                space=chosen.space,
                noise=chosen.noise,
            )
        )
        return io.NodeOutput(guided(model, guide, getattr(cls.hidden, "unique_id", None)))


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
