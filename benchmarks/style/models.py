"""The shipped models, each of which makes a batch of pictures by a setup."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from ilvr_latent import SeededNoise, load_embedded
from ilvr_latent.cli.common import quiet_diffusers
from ilvr_latent.diffusion import Start, sample_with
from ilvr_latent.embedded import load_embedded_pipeline
from ilvr_latent.pipelines import GuideCallback, encode_reference

from .pictures import PAIRS
from .ways import STEPS, Setup


class Model(Protocol):
    """Of pictures in [-1, 1]."""

    name: str
    side: int

    def encode(self, pictures: Tensor) -> Tensor:
        """To what is sampled."""
        ...

    def decode(self, sampled: Tensor) -> Tensor:
        """And back."""
        ...

    def sampled(self, setup: Setup, shape: torch.Size, seed: int) -> Tensor:
        """A batch of :attr:`shape`; picture k has seed + k."""
        ...


class PixelModel:
    """The embedded pixel model, 64 pixels: it is told nothing of what is drawn."""

    name, side = "pixel model, 64 pixels", 64

    def __init__(self) -> None:
        self._network = load_embedded()

    def encode(self, pictures: Tensor) -> Tensor:
        """Pixels are sampled as they are."""
        return pictures

    def decode(self, sampled: Tensor) -> Tensor:
        """Clamped."""
        return sampled.clamp(-1, 1)

    def sampled(self, setup: Setup, shape: torch.Size, seed: int) -> Tensor:
        """DDIM with all its noise, 20 steps of which the last ones are taken."""
        first = round(STEPS * (1 - setup.strength))
        return sample_with(
            self._network,
            setup.guide,
            shape=shape,
            steps=STEPS,
            sampler="ddim",
            noise=SeededNoise(seed),
            start=None if setup.start is None else Start(setup.start, first),
        )


class LatentModel:
    """The embedded text-to-image model, 128 pixels, told what the layout shows."""

    name, side = "latent model with a prompt, 128 pixels", 128

    def __init__(self) -> None:
        from diffusers import StableDiffusionImg2ImgPipeline

        quiet_diffusers()
        self._from_noise = load_embedded_pipeline()
        self._from_pictures = StableDiffusionImg2ImgPipeline(
            **self._from_noise.components, requires_safety_checker=False
        )
        for pipe in (self._from_noise, self._from_pictures):
            pipe.set_progress_bar_config(disable=True)

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents as the pipeline samples them."""
        return encode_reference(self._from_noise, pictures)

    def decode(self, sampled: Tensor) -> Tensor:
        """Clamped."""
        vae = self._from_noise.vae
        pictures: Tensor = vae.decode(sampled / vae.config.scaling_factor).sample
        return pictures.clamp(-1, 1)

    def sampled(self, setup: Setup, shape: torch.Size, seed: int) -> Tensor:
        """Twenty steps of the pipeline's own scheduler, of which the last ones are taken."""
        pipe = self._from_noise if setup.start is None else self._from_pictures
        given: dict[str, Any] = {
            "prompt": [prompt for _, _, prompt in PAIRS],
            "num_inference_steps": STEPS,
            "generator": [torch.Generator().manual_seed(seed + k) for k in range(shape[0])],
            "output_type": "latent",
        }
        if setup.start is not None:
            picture = self.decode(setup.start) / 2 + 0.5
            given |= {"image": picture, "strength": setup.strength}
        if setup.guide is None:
            latents: Tensor = pipe(**given).images
            return latents
        with GuideCallback(pipe, setup.guide, torch.zeros(shape), seed=seed):
            latents = pipe(**given).images
        return latents
