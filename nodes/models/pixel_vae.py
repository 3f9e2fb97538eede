"""The VAE of a model that samples pixels: it only changes the range and the order of axes."""

from __future__ import annotations

import importlib.util
from typing import Any

import comfy.sd
import torch
from torch import Tensor


def pixel_vae() -> Any:
    """ComfyUI's own (from 0.3.60 on), in fp32 because bf16 would quantise; else one of ours."""
    if importlib.util.find_spec("comfy.pixel_space_convert") is None:
        return PixelVAE()
    return comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)}, dtype=torch.float32)


class PixelVAE:
    """What ComfyUI's nodes ask of a VAE, for versions that have none for pixels."""

    vae_dtype = torch.float32
    latent_channels = 3
    downscale_ratio = upscale_ratio = 1

    def encode(self, pixels: Tensor) -> Tensor:
        """(B, H, W, 3) in [0, 1] to (B, 3, H, W) in [-1, 1]."""
        return pixels[..., :3].float().movedim(-1, 1) * 2 - 1

    def decode(self, samples: Tensor, **_: Any) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to (B, H, W, 3) in [0, 1]."""
        return ((samples.float() + 1) / 2).clamp(0, 1).movedim(1, -1)

    def encode_tiled(self, pixels: Tensor, **_: Any) -> Tensor:
        """Tiles make no difference."""
        return self.encode(pixels)

    def decode_tiled(self, samples: Tensor, **_: Any) -> Tensor:
        """Tiles make no difference."""
        return self.decode(samples)

    def spacial_compression_encode(self) -> int:
        """Pixels for each latent cell."""
        return 1

    def spacial_compression_decode(self) -> int:
        """Pixels for each latent cell."""
        return 1

    def temporal_compression_decode(self) -> None:
        """No video."""
        return None
