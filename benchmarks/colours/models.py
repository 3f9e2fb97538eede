"""The two latent models that pictures go through, round after round."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from ilvr_latent import Guide, Run, SeededNoise
from ilvr_latent.cli.common import quiet_diffusers
from ilvr_latent.diffusion import Start, sample_with
from ilvr_latent.embedded import load_embedded_pipeline
from ilvr_latent.pipelines import GuideCallback, encode_reference

from .stand_in import Wiener
from .vae import TinyVAE

STEPS = 20


class Model(Protocol):
    """A latent model for pictures (1, 3, H, W) in [-1, 1]."""

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents as they are sampled."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures, not clamped."""
        ...

    def redraw(self, picture: Tensor, denoise: float, guide: Guide | None, seed: int) -> Tensor:
        """img2img to a latent: noised as far as ``denoise`` says, and sampled from there."""
        ...


class StandIn:
    """The autoencoder of FLUX.2's latents, and a Gaussian in the place of its transformer.

    Args:
        vae: the autoencoder.
        latents: (B, C, H, W), of the photographs that the Gaussian is fitted to.
    """

    def __init__(self, vae: TinyVAE, latents: Tensor) -> None:
        self._vae, self._scale = vae, latents.std()
        self._denoiser = Wiener(latents / self._scale)

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents of variance 1."""
        return self._vae.encode(pictures) / self._scale

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures, not clamped."""
        return self._vae.decode(latents * self._scale)

    def redraw(self, picture: Tensor, denoise: float, guide: Guide | None, seed: int) -> Tensor:
        """DDIM, 20 steps of which the last ones are taken."""
        latent, first = self.encode(picture), round(STEPS * (1 - denoise))
        return sample_with(
            self._denoiser,
            guide,
            shape=latent.shape,
            steps=STEPS,
            sampler="ddim",
            eta=0.0,
            clip_denoised=False,
            noise=SeededNoise(seed),
            start=Start(latent, first) if first else None,
        )


class Embedded:
    """The latent model that ships, with its own network and autoencoder: 128 pixels, emoji.

    Args:
        prompt: what is drawn.
    """

    def __init__(self, prompt: str) -> None:
        from diffusers import StableDiffusionImg2ImgPipeline

        quiet_diffusers()
        self._pipe, self._prompt = load_embedded_pipeline(), prompt
        self._from_pictures = StableDiffusionImg2ImgPipeline(
            **self._pipe.components, requires_safety_checker=False
        )
        for pipe in (self._pipe, self._from_pictures):
            pipe.set_progress_bar_config(disable=True)

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents as the pipeline samples them."""
        return encode_reference(self._pipe, pictures)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures, not clamped."""
        vae = self._pipe.vae
        picture: Tensor = vae.decode(latents / vae.config.scaling_factor).sample
        return picture

    def redraw(self, picture: Tensor, denoise: float, guide: Guide | None, seed: int) -> Tensor:
        """Twenty steps of the pipeline's own scheduler, of which the last ones are taken."""
        whole = denoise == 1
        pipe = self._pipe if whole else self._from_pictures
        given: dict[str, Any] = {
            "prompt": self._prompt,
            "guidance_scale": 4.0,
            "num_inference_steps": STEPS,
            "generator": torch.Generator().manual_seed(seed),
            "output_type": "latent",
        }
        if not whole:
            given |= {"image": picture / 2 + 0.5, "strength": denoise}
        with GuideCallback(pipe, guide or _Nothing(), self.encode(picture), seed=seed):
            latent: Tensor = pipe(**given).images
        return latent


class _Nothing:
    """A guide that does nothing."""

    def begin(self, run: Run) -> None:
        return None
