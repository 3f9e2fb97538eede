"""CLIP guidance: towards an embedding, after Katherine Crowson's v-diffusion sampling.

    x_t   state, variance preserving      u   embedding of the clean estimate
    x_0   clean estimate                  v   the wanted embedding
    a     alpha-bar of x_t's level        l   scale times half the squared angle between them

    x_0 <- x_0 - (1 - a) / sqrt(a) grad_{x_t} l(x_0(x_t))

The gradient goes through the network. x_0 is clamped before the shift, never after.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..diffusion.gradients import gradient_through, ordinary
from ..diffusion.guide import Denoise, GuideRun, Run
from ..diffusion.schedule import Step
from ..errors import InputError

Encoder = Callable[[Tensor], Tensor]
"""Clean pictures (B, C, H, W) to embeddings (B, D), differentiable; may take random cutouts."""


def spherical_distance(u: Tensor, v: Tensor) -> Tensor:
    """Half the squared angle between embeddings, (B,).

    Args:
        u: (B, D), of any length.
        v: likewise; may broadcast.
    """
    chord = (F.normalize(u, dim=-1) - F.normalize(v, dim=-1)).norm(dim=-1)
    # Rounding may make a chord longer than the diameter.
    half_angle: Tensor = (chord / 2).clamp(max=1).arcsin()
    return 2 * half_angle.square()


class ClipGuidance:
    """Towards a text or a picture, by an encoder of pictures; a guide.

    Args:
        encoder: of pictures in [-1, 1].
        target: (1, D) or (B, D), what the pictures' embeddings shall come near to.
        scale: of the distance; 0 is off, bit for bit. Published runs have 2000 at 512 pixels.
        clip: clamp x_0 to [-1, 1] before it is encoded and shifted; off for latents.

    Raises:
        InputError: the scale or the target is not finite.
    """

    def __init__(
        self, encoder: Encoder, target: Tensor, *, scale: float = 2000.0, clip: bool = True
    ) -> None:
        if not math.isfinite(scale) or not bool(torch.isfinite(target).all()):
            raise InputError(f"The scale is {scale} or the target NaN; use finite numbers.")
        self.encoder, self.target = encoder, target
        self.scale, self.clip = scale, clip

    def begin(self, run: Run) -> GuideRun | None:
        """``None`` with a scale of 0."""
        return _ClipRun(self) if self.scale else None

    def x_0(self, denoise: Callable[[Tensor], Tensor], x_t: Tensor, a_bar: float) -> Tensor:
        """The guided clean estimate.

        Args:
            denoise: x_t to x_0.
            x_t: the state, variance preserving, (B, C, H, W).
            a_bar: of its level, above 0.
        """
        target = ordinary(self.target).to(x_t)

        def clamped(x: Tensor) -> Tensor:
            x_0 = denoise(x)
            return x_0.clamp(-1, 1) if self.clip else x_0

        def loss(x_0: Tensor) -> Tensor:
            return self.scale * spherical_distance(self.encoder(x_0), target)

        x_0, slope = gradient_through(clamped, loss, x_t)
        return x_0 - (1 - a_bar) / math.sqrt(a_bar) * slope


class _ClipRun(GuideRun):
    def __init__(self, guidance: ClipGuidance) -> None:
        self._guidance = guidance

    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        if step.alpha == 0:
            return denoiser(x_t)
        return self._guidance.x_0(lambda x: denoiser(step.scale * x), x_t / step.scale, step.a_bar)
