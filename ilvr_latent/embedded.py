"""The models and pictures that come with the package; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .adm import load_adm

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
