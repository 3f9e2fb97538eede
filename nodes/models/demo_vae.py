"""The autoencoder of the embedded latent model as a VAE: the host's own TAESD."""

from __future__ import annotations

from pathlib import Path

import comfy.sd
import torch

from .demo_files import read_weights


def demo_vae(folder: Path) -> comfy.sd.VAE:
    """The VAE; its latents are the autoencoder's, which the MODEL scales to unit variance.

    Args:
        folder: of the whole model.

    Raises:
        InputError: a file is missing or damaged.
    """
    weights = {_taesd(key): value for key, value in read_weights(folder, "vae").items()}
    unscaled = {"vae_scale": torch.tensor(1.0), "vae_shift": torch.tensor(0.0)}
    return comfy.sd.VAE(sd=weights | unscaled)


def _taesd(key: str) -> str:
    """TAESD's name of a weight of diffusers' AutoencoderTiny, such as "decoder.layers.0.weight"."""
    half, _, layer, rest = key.split(".", 3)
    # The clamp before the decoder is a layer in TAESD and is not in diffusers.
    first = 1 if half == "decoder" else 0
    return f"taesd_{half}.{first + int(layer)}.{rest}"
