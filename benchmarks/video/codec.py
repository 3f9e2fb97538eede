"""What clips are sampled in: pixels, or the latents of the embedded model."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from einops import rearrange
from torch import Tensor

from ilvr_latent.shipped import LATENT_MODEL

LARGER = 4


class Codec(Protocol):
    """From a clip (1, 3, T, 32, 32) in [-1, 1] to what is sampled, and back."""

    name: str
    spread: float
    """Standard deviation of what the network draws about the clip."""
    factor: float
    """An eighth of the side."""
    wide: float
    """Half of the side."""

    def encoded(self, clip: Tensor) -> Tensor:
        """What is sampled, (1, C, T, h, w)."""
        ...

    def decoded(self, sample: Tensor) -> Tensor:
        """The clip."""
        ...


class Pixels:
    """The clip itself."""

    name, spread, factor, wide = "pixels", 0.25, 4.0, 16.0

    def encoded(self, clip: Tensor) -> Tensor:
        """Itself."""
        return clip

    def decoded(self, sample: Tensor) -> Tensor:
        """Itself."""
        return sample


class TinyVAE:
    """The embedded VAE, frame by frame, which is shown clips four times as large: 16 cells."""

    name, spread, factor, wide = "latents of the embedded VAE", 0.2, 2.0, 8.0

    def __init__(self) -> None:
        self._vae = AutoencoderTiny.from_pretrained(LATENT_MODEL / "vae").eval()

    @torch.no_grad()
    def encoded(self, clip: Tensor) -> Tensor:
        """(1, C, T, h, w)."""
        frames = rearrange(clip, "b c t h w -> (b t) c h w")
        frames = F.interpolate(frames, scale_factor=LARGER, mode="bicubic")
        latents = self._vae.encode(frames).latents
        together: Tensor = rearrange(latents, "(b t) c h w -> b c t h w", b=len(clip))
        return together

    @torch.no_grad()
    def decoded(self, sample: Tensor) -> Tensor:
        """Turned round."""
        frames = rearrange(sample, "b c t h w -> (b t) c h w")
        pictures = F.avg_pool2d(self._vae.decode(frames).sample, LARGER)
        together: Tensor = rearrange(pictures, "(b t) c h w -> b c t h w", b=len(sample))
        return together
