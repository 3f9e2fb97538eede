"""The models and pictures that come with the package; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .adm import load_adm
from .errors import InputError

if TYPE_CHECKING:
    from .adm.unet import ADM

ASSETS = Path(__file__).parent / "assets"
PIXEL_MODEL = ASSETS / "emoji64.safetensors"
LATENT_MODEL = ASSETS / "emoji-latent"
REFERENCES = ASSETS / "references"


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
    from .pipelines.load import from_folder

    if not (LATENT_MODEL / "model_index.json").is_file():
        raise InputError(
            f"The embedded latent model is not at {str(LATENT_MODEL)!r}; install the package "
            "again, or give a pipeline of yours."
        )
    return from_folder(LATENT_MODEL, dtype).to(device)
