"""The models and pictures that come with the package; nothing is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .adm import load_adm
from .shipped import ASSETS, LATENT_MODEL, PIXEL_MODEL, REFERENCES

if TYPE_CHECKING:
    from .adm.unet import ADM

__all__ = [
    "ASSETS",
    "LATENT_MODEL",
    "PIXEL_MODEL",
    "REFERENCES",
    "load_embedded",
    "load_embedded_pipeline",
]


def load_embedded(*, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> ADM:
    """The embedded pixel model: 64x64 glossy emoji, 5.7 million parameters.

    Args:
        device: where to put it.
        dtype: precision of the network; fp32 by default.
    """
    return load_adm(PIXEL_MODEL, device=device, dtype=dtype)


def load_embedded_pipeline(
    *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Any:
    """The embedded latent model, a diffusers ``StableDiffusionPipeline``: 128x128 glossy emoji.

    Args:
        device: where to put it.
        dtype: its precision; fp32 by default.

    Raises:
        InputError: this copy of the package came without it.
    """
    # diffusers is heavy.
    from .pipelines.load import load_pipeline

    return load_pipeline("embedded", device=device, dtype=dtype)
