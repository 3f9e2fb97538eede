"""The models that a similarity is measured on: each makes pictures with a reference or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.colours.vae import TinyVAE, is_there
from ilvr_latent import ILVR, InputError, SeededNoise, load_embedded, sample_with
from ilvr_latent.cli.common import quiet_diffusers
from ilvr_latent.diffusion.noise import ReferenceNoise
from ilvr_latent.embedded import load_embedded_pipeline
from ilvr_latent.pipelines import GuideCallback, encode_reference
from ilvr_latent.similarity import Dial
from training.data import load as training_pictures

from .exact import Exact, Repack, Repacked, packed, unpacked

SamplerName = Literal["ddim", "ddpm"]
STEPS = 20
# Of the exact denoiser; every so many of the training pictures, none with a skin tone.
PICTURES, SPREAD = 96, 0.4
PROMPTS = ("cat face", "red car", "house with garden", "tulip", "pizza", "blue fish")


class Model(Protocol):
    """A model of pictures."""

    cell: int
    """Pixels along a side of a cell of what is sampled."""
    side: int
    """Of its pictures."""

    def shown(self, references: Tensor) -> Tensor:
        """References (B, 3, side, side) in [-1, 1] as the model can have them."""
        ...

    def made(self, references: Tensor, dial: Dial | None, seeds: Sequence[int]) -> Tensor:
        """A picture for each reference, of the same shape, which follows it as the dial says."""
        ...


class Pixels:
    """The embedded pixel model.

    Args:
        steps: of the sampler.
        sampler: DDIM without noise, or DDPM.
    """

    cell, side = 1, 64

    def __init__(self, steps: int = STEPS, sampler: SamplerName = "ddim") -> None:
        self._model, self._steps, self._sampler = load_embedded(), steps, sampler

    def shown(self, references: Tensor) -> Tensor:
        """As they are."""
        return references

    def made(self, references: Tensor, dial: Dial | None, seeds: Sequence[int]) -> Tensor:
        """By its sampler."""
        how = {"steps": self._steps, "sampler": self._sampler, "clip_denoised": True}
        return _sampled(self._model, references, dial, seeds, **how).clamp(-1, 1)


class Latents:
    """The embedded latent model, each picture with a prompt that is not its reference's."""

    cell, side = 8, 128

    def __init__(self) -> None:
        quiet_diffusers()
        self._pipe = load_embedded_pipeline()
        self._pipe.set_progress_bar_config(disable=True)
        # The same references come again and again.
        self._encoded = lru_cache(2)(lambda pictures: encode_reference(self._pipe, pictures))

    def shown(self, references: Tensor) -> Tensor:
        """There and back."""
        vae = self._pipe.vae
        latents = self._encoded(references) / vae.config.scaling_factor
        with torch.no_grad():
            picture: Tensor = vae.decode(latents).sample
        return picture.clamp(-1, 1)

    def made(self, references: Tensor, dial: Dial | None, seeds: Sequence[int]) -> Tensor:
        """By the pipeline's own scheduler."""
        latents = self._encoded(references)
        given: dict[str, Any] = {
            "prompt": [PROMPTS[seed % len(PROMPTS)] for seed in seeds],
            "guidance_scale": 4.0,
            "num_inference_steps": STEPS,
            "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
            "output_type": "pt",
        }
        if dial is None:
            picture: Tensor = self._pipe(**given).images
            return picture * 2 - 1
        guide = ILVR(dial.reference(latents))
        with GuideCallback(self._pipe, guide, latents, seed=list(seeds)):
            picture = self._pipe(**given).images
        return picture * 2 - 1


class Flux:
    """The tiny autoencoder of FLUX.2's latents, with an exact denoiser of emoji.

    Args:
        cell: 16, as FLUX.2 packs its latents; 32, packed once more; or 8, not packed.
    """

    side = 256

    def __init__(self, cell: int) -> None:
        self.cell = cell
        self._vae, exact, self._scale = _exact()
        as_it_is: Repack = torch.clone
        self._repack, self._back = {
            8: (unpacked, packed),
            16: (as_it_is, as_it_is),
            32: (packed, unpacked),
        }[cell]
        self._model = Repacked(exact, self._repack, self._back)
        self._encoded = lru_cache(2)(lambda pictures: _by_few(self._vae.encode, pictures))

    def shown(self, references: Tensor) -> Tensor:
        """There and back."""
        return _by_few(self._vae.decode, self._encoded(references)).clamp(-1, 1)

    def made(self, references: Tensor, dial: Dial | None, seeds: Sequence[int]) -> Tensor:
        """By DDIM."""
        y_0 = self._repack(self._encoded(references) / self._scale)
        how = {"steps": STEPS, "sampler": "ddim", "clip_denoised": False}
        x_0 = self._back(_sampled(self._model, y_0, dial, seeds, **how))
        return _by_few(self._vae.decode, x_0 * self._scale).clamp(-1, 1)


CALIBRATED: dict[str, Callable[[], Model]] = {
    "1": Pixels,
    "8": Latents,
    "16": lambda: Flux(16),
    "32": lambda: Flux(32),
}
"""By the size of their cells."""
OTHERS: dict[str, Callable[[], Model]] = {
    "8, exact": lambda: Flux(8),
    "1, DDIM, 10 steps": lambda: Pixels(10),
    "1, DDPM, 50 steps": lambda: Pixels(50, "ddpm"),
}
"""What the tables of the same cells are tried on."""
MODELS = CALIBRATED | OTHERS


def _sampled(
    model: Any, y_0: Tensor, dial: Dial | None, seeds: Sequence[int], **how: Any
) -> Tensor:
    noise: ReferenceNoise = "hybrid" if how["sampler"] == "ddim" else "fresh"
    guide = None if dial is None else ILVR(dial.reference(y_0), reference_noise=noise)
    shape, eta = tuple(y_0.shape), 0.0 if how["sampler"] == "ddim" else 1.0
    return sample_with(model, guide, shape=shape, eta=eta, noise=SeededNoise(list(seeds)), **how)


def _by_few(make: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Eight at a time."""
    return torch.cat([make(some) for some in torch.split(x, 8)])


@cache
def _exact() -> tuple[TinyVAE, Exact, float]:
    """The autoencoder, the denoiser, and what latents of variance 1 are multiplied with.

    Raises:
        InputError: the autoencoder is not here.
    """
    if not is_there():
        raise InputError(
            "The autoencoder of FLUX.2's latents is not here; put taef2_encoder.safetensors and "
            "taef2_decoder.safetensors of madebyollin/taesd into shared/vae beside the checkout."
        )
    data = training_pictures()
    kept = data["images"][(data["weights"] >= 0.5) & ~data["held_out"]]
    emoji = kept[:: len(kept) // PICTURES][:PICTURES].float() / 127.5 - 1
    large = F.interpolate(emoji, (Flux.side, Flux.side), mode="bicubic").clamp(-1, 1)
    vae = TinyVAE()
    latents = _by_few(vae.encode, large)
    scale = float(latents.std())
    return vae, Exact(latents / scale, spread=SPREAD), scale
