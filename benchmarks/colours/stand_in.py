"""A stand-in for a diffusion model over latents that no model here was trained for.

    x_0 ~ N(m, S)    m   mean of each channel    S   covariance of channels and of frequencies
    E[x_0 | x_t] = m + sqrt(a) S (a S + 1 - a)^{-1} (x_t - sqrt(a) m)    a   alpha-bar

It is the best denoiser of a Gaussian (Wiener's filter), fitted to photographs: it knows which
colours and frequencies are likely, and nothing of things. Like a real model it draws pictures
towards what it was fitted to, round after round.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.guides.lowpass import low_pass_matrices


@dataclass(frozen=True)
class Config:
    """What :class:`ilvr_latent.diffusion.denoiser.DenoiserConfig` asks for."""

    image_size: int
    image_channels: int
    noise_schedule: str = "linear"
    diffusion_steps: int = 1000
    prediction_type: str = "sample"
    learn_sigma: bool = False
    sigma_small: bool = False
    num_classes: int | None = None


@dataclass
class Wiener:
    """A denoiser for :func:`ilvr_latent.diffusion.sample_with`.

    Args:
        latents: (B, C, H, W), H = W, of the photographs that it is fitted to.
    """

    latents: Tensor
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        _, channels, side, _ = self.latents.shape
        self.config = Config(side, channels)
        self.a_bar = alphas_cumprod(self.config.noise_schedule, 1000).float()
        # The low pass of N = 1: the whole of an orthonormal cosine transform.
        self.cosines = low_pass_matrices(side, 1.0, "spectral")[0].float()
        self.mean = self.latents.mean((0, 2, 3), keepdim=True)
        away = (self.latents - self.mean).movedim(1, -1).reshape(-1, channels)
        # Channels that do not depend on one another.
        self.axes = torch.linalg.eigh(away.T @ away / len(away))[1]
        self.power = self._smooth(self._seen(self.latents - self.mean).square().mean(0))

    def _smooth(self, power: Tensor) -> Tensor:
        """By rings of equal frequency: a few photographs say little of each one alone."""
        side = power.shape[-1]
        down = torch.arange(side)
        ring = torch.hypot(down[:, None].float(), down[None].float()).round().long().flatten()
        count = torch.bincount(ring)
        sums = power.new_zeros(len(power), len(count)).index_add(1, ring, power.flatten(1))
        return (sums / count)[:, ring].reshape(power.shape)

    def _seen(self, x: Tensor) -> Tensor:
        turned = torch.einsum("bchw,cd->bdhw", x, self.axes)
        return self.cosines @ turned @ self.cosines.T

    def _back(self, seen: Tensor) -> Tensor:
        return torch.einsum("bdhw,cd->bchw", self.cosines.T @ seen @ self.cosines, self.axes)

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x_0 | x_t]."""
        a = self.a_bar[t].view(-1, 1, 1, 1)
        gain = a.sqrt() * self.power / (a * self.power + 1 - a)
        return self.mean + self._back(gain * self._seen(x - a.sqrt() * self.mean))
