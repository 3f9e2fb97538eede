"""The networks that are shown windows, each with a way from pictures to its states and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.colours.stand_in import Wiener
from benchmarks.colours.vae import PIXELS_A_CELL, TinyVAE
from ilvr_latent import load_embedded
from ilvr_latent.cli.common import quiet_diffusers
from ilvr_latent.diffusion import Denoiser
from ilvr_latent.embedded import load_embedded_pipeline


class Model(Protocol):
    """A network for pictures (B, 3, H, W) in [-1, 1] of its own size."""

    name: str
    side: int
    cell: int
    clip: bool

    @property
    def denoiser(self) -> Denoiser:
        """The network; a label is the number of a prompt."""
        ...

    def encode(self, pictures: Tensor) -> Tensor:
        """States."""
        ...

    def decode(self, states: Tensor) -> Tensor:
        """Pictures."""
        ...


class Pixels:
    """The pixel model that ships, in half precision: a third faster, and the same for all ways."""

    name, side, cell, clip = "pixels", 64, 1, True

    def __init__(self) -> None:
        self.denoiser: Denoiser = _Unlabelled(load_embedded(dtype=torch.bfloat16))

    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures are states."""
        return pictures

    def decode(self, states: Tensor) -> Tensor:
        """Within black and white."""
        return states.clamp(-1, 1)


@dataclass
class _Unlabelled:
    """A network that is told the number of a prompt, and has no use for it."""

    network: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        out: Tensor = self.network(x, t)
        return out


@dataclass(frozen=True)
class _Config:
    """What :class:`ilvr_latent.diffusion.DenoiserConfig` asks for."""

    image_size: int
    image_channels: int
    noise_schedule: str
    prediction_type: str
    num_classes: int | None
    diffusion_steps: int = 1000
    learn_sigma: bool = False
    sigma_small: bool = False


class Latents:
    """The latent model that ships, with its network of text and its autoencoder.

    Args:
        prompts: one for each picture.
    """

    name, side, cell, clip = "latents", 128, 8, False

    def __init__(self, prompts: list[str]) -> None:
        quiet_diffusers()
        self._pipe = load_embedded_pipeline()
        text = self._pipe.encode_prompt(prompts, "cpu", 1, False)[0]
        self.denoiser: Denoiser = _OfPrompts(self._pipe, text)

    def encode(self, pictures: Tensor) -> Tensor:
        """By the autoencoder; it has no chance in it."""
        latents: Tensor = self._pipe.vae.encode(pictures).latents
        scale: float = self._pipe.vae.config.scaling_factor
        return latents * scale

    def decode(self, states: Tensor) -> Tensor:
        """The whole at once."""
        pictures: Tensor = self._pipe.vae.decode(
            states / self._pipe.vae.config.scaling_factor
        ).sample
        return pictures.clamp(-1, 1)


@dataclass
class _OfPrompts:
    """A pipeline's network, without guidance; a label is the number of its prompt."""

    pipe: Any
    text: Tensor
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def config(self) -> _Config:
        scheduler, unet = self.pipe.scheduler.config, self.pipe.unet.config
        return _Config(
            unet.sample_size,
            unet.in_channels,
            scheduler.beta_schedule,
            scheduler.prediction_type,
            len(self.text),
        )

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        out: Tensor = self.pipe.unet(x, t, encoder_hidden_states=self.text[y]).sample
        return out


class StandIn:
    """The tiny autoencoder of FLUX.2's latents, and a Gaussian in place of the transformer.

    Args:
        photographs: (B, 3, 256, 256), which the Gaussian is fitted to.
    """

    name, side, cell, clip = "photographs", 256, PIXELS_A_CELL, False

    def __init__(self, photographs: Tensor) -> None:
        self._vae = TinyVAE()
        latents = torch.cat([self._vae.encode(photo[None]) for photo in photographs])
        self._scale = latents.std()
        self.denoiser: Denoiser = Wiener(latents / self._scale)

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents of variance 1."""
        return self._vae.encode(pictures) / self._scale

    def decode(self, states: Tensor) -> Tensor:
        """The whole at once."""
        return self._vae.decode(states * self._scale).clamp(-1, 1)
