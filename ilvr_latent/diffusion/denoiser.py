"""What the sampler must know of a network."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class DenoiserConfig(Protocol):
    """What the sampler must know of a network; :class:`ilvr_latent.adm.ADMConfig` has it all."""

    @property
    def image_size(self) -> int: ...
    @property
    def image_channels(self) -> int: ...
    @property
    def noise_schedule(self) -> str: ...
    @property
    def diffusion_steps(self) -> int: ...
    @property
    def prediction_type(self) -> str: ...
    @property
    def learn_sigma(self) -> bool: ...
    @property
    def sigma_small(self) -> bool: ...
    @property
    def num_classes(self) -> int | None: ...


class Denoiser(Protocol):
    """A network (or a formula) in pixel space."""

    @property
    def config(self) -> DenoiserConfig: ...
    @property
    def device(self) -> torch.device: ...

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Raw output for x_t (B, C, H, W) at original timesteps t (B,)."""
        ...
