"""Latents of several parts, as the host's models of video with sound have them.

The host packs the parts into one row of numbers (B, 1, N) before it samples. A guide is shown the
first of them, which is the picture or the video; the others pass through as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from comfy.latent_formats import LatentFormat
from torch import Tensor

from ..ilvr_latent.diffusion.guide import Denoise, GuideRun
from ..ilvr_latent.diffusion.schedule import Step


@dataclass(frozen=True)
class FirstPart:
    """Where the picture or video is in what is sampled.

    Args:
        shape: (B, C, ..., H, W) of it, before it was packed.
    """

    shape: Sequence[int]

    def of(self, packed: Tensor) -> Tensor:
        """The part, out of (B, 1, N)."""
        part = packed[:, :, : math.prod(self.shape[1:])]
        return part.reshape(len(packed), *self.shape[1:])

    def into(self, packed: Tensor, part: Tensor) -> Tensor:
        """(B, 1, N) with another part in place of its own."""
        rest = packed[:, :, math.prod(self.shape[1:]) :]
        return torch.cat([part.reshape(len(packed), 1, -1).to(packed), rest], dim=-1)


def first_part(model: Any, noise: Tensor) -> FirstPart | None:
    """The part that a guide is shown; ``None``: the latent is one.

    Args:
        model: the host's ``BaseModel``, which knows the shapes of what is sampled.
        noise: as the sampler is given it.
    """
    shapes = getattr(model, "latent_shapes", None)
    if shapes is None or len(shapes) < 2 or noise.ndim != 3:
        return None
    return FirstPart(tuple(shapes[0]))


def has_parts(latent_format: Any) -> bool:
    """Whether the latents of a model have several parts, which differ in their channels."""
    own = getattr(type(latent_format), "fix_empty_latent", None)
    return own is not getattr(LatentFormat, "fix_empty_latent", None)


class OnFirstPart(GuideRun):
    """A guide's run, shown one part of the latent.

    Args:
        guidance: made for the shape of the part.
        part: which it is.
    """

    def __init__(self, guidance: GuideRun, part: FirstPart) -> None:
        self._guidance, self._part = guidance, part

    @property
    def hooks(self) -> frozenset[str]:
        """Those of the guide."""
        return self._guidance.hooks

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        """The guide's, packed again."""
        shown = self._part.of(x_t)
        return self._packed(x_t, shown, self._guidance.state(shown, step))

    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        """The guide's; the other parts are as the last call of the network left them."""
        answers: list[Tensor] = []

        def of_part(part: Tensor) -> Tensor:
            answers.append(denoiser.unclipped(self._part.into(x_t, part)))
            return self._part.of(answers[-1])

        x_0 = self._guidance.denoise(Denoise(of_part, denoiser.clip), self._part.of(x_t), step)
        return self._part.into(answers[-1].detach(), x_0)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """The guide's, packed again."""
        shown = self._part.of(x_0)
        return self._packed(x_0, shown, self._guidance.prediction(shown, self._part.of(x_t), step))

    def mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, step: Step
    ) -> Tensor:
        """The guide's, packed again."""
        of = self._part.of
        shown = of(mu)
        if isinstance(variance, Tensor) and variance.shape == mu.shape:
            variance = of(variance)
        return self._packed(mu, shown, self._guidance.mean(shown, variance, of(x_t), of(x_0), step))

    def end(self, x_0: Tensor) -> Tensor:
        """The guide's, packed again."""
        shown = self._part.of(x_0)
        return self._packed(x_0, shown, self._guidance.end(shown))

    def _packed(self, packed: Tensor, shown: Tensor, made: Tensor) -> Tensor:
        # Doing nothing is returning the first argument itself.
        return packed if made is shown else self._part.into(packed, made)
