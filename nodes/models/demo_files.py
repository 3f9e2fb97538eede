"""The folder of the embedded latent model: diffusers' layout, config and weights of each part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ...ilvr_latent import InputError

# Where diffusers and transformers write them.
WEIGHTS = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}


def read_config(folder: Path, part: str) -> dict[str, Any]:
    """How a part is built.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / part / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return config


def read_weights(folder: Path, part: str) -> dict[str, Tensor]:
    """The weights of a part, as they were stored.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / part / WEIGHTS[part]
    try:
        # From memory: reading tensor by tensor, safetensors 0.8 keeps 28 bytes of each for ever.
        return load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"The embedded model's file '{path}' cannot be read ({type(error).__name__}); install the "
        "pack again, with its folder ilvr_latent/assets."
    )
