"""What nodes that take a reference check before sampling."""

from __future__ import annotations

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...ilvr_latent import InputError
from ..fitting import check_channels
from ..nested import has_parts


def checked_samples(model: ModelPatcher, latent: dict[str, Any], name: str) -> Tensor:
    """The tensor of a LATENT, which fits the MODEL.

    Args:
        model: which samples pictures or videos.
        latent: as the host hands it to nodes.
        name: of the input.

    Raises:
        InputError: the latent is of another kind of model, or the model has no pictures.
    """
    samples: Tensor = latent["samples"]
    latent_format = model.get_model_object("latent_format")
    if latent_format.latent_dimensions not in (2, 3):
        raise InputError(
            "This model does not sample pictures (its latent is "
            f"{latent_format.latent_dimensions}-dimensional); ILVR needs an image or video model."
        )
    if getattr(samples, "is_nested", False) or samples.ndim not in (4, 5):
        raise InputError(
            f"The {name} is not the latent of a picture or a video; "
            "encode an image with ILVR Reference (VAE Encode)."
        )
    if not has_parts(latent_format):
        check_channels(samples.shape[1], latent_format.latent_channels)
    return samples


def check_mask(mask: Tensor | None) -> None:
    """Refuse a mask that leaves nothing.

    Raises:
        InputError: it is black everywhere.
    """
    if mask is not None and not bool(torch.any(mask > 0)):
        raise InputError(
            "The mask is black everywhere, so nothing would be matched; paint the area to hold "
            "to the reference white, or unplug the mask."
        )
