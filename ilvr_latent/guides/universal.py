"""Universal Guidance for Diffusion Models, arXiv 2302.07121.

    x_t   state, variance preserving      l   loss of a clean picture, (B,)
    x_0   clean estimate, unclipped       w   weight              s(t) = w sqrt(1 - a)
    a     alpha-bar of x_t's level        d   what backward guidance adds to x_0

Forward (eq. 6):   eps <- eps + s(t) grad_{x_t} l(x_0(x_t)),   x_0 <- x_0 - w (1 - a) / sqrt(a) grad
Backward (eq. 7):  d <- d - lr grad_d l(x_0 + d), m times from d = 0;   x_0 <- x_0 + d
Recurrence:        every step is taken k times, and the state noised again in between

The gradient of the forward part goes through the network, which about doubles its memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..diffusion.gradients import gradient, gradient_through
from ..diffusion.guide import Denoise, GuideRun, Run
from ..diffusion.schedule import Step
from ..errors import InputError
from .energy import tried

Loss = Callable[[Tensor], Tensor]
"""Clean pictures (B, C, H, W) to (B,), lower is better; see :mod:`.losses` for some."""


class UniversalGuidance:
    """Towards a low loss of the clean estimate, whatever the loss is; a guide.

    Args:
        loss: of clean pictures, one number for each.
        weight: w of the forward part; 0 leaves it out.
        backward_steps: m; 0 leaves the backward part out.
        backward_lr: its learning rate.
        recurrence: k, how often each step is taken in all.
        clip: clamp x_0 to [-1, 1] after the guidance; takes the place of the sampler's own clamp.

    Raises:
        InputError: a number is not in its range.
    """

    def __init__(
        self,
        loss: Loss,
        *,
        weight: float = 0.0,
        backward_steps: int = 0,
        backward_lr: float = 0.0,
        recurrence: int = 1,
        clip: bool = False,
    ) -> None:
        if not math.isfinite(weight) or not math.isfinite(backward_lr):
            raise InputError(
                f"weight is {weight} and backward_lr {backward_lr}; use finite numbers."
            )
        if backward_steps < 0 or recurrence < 1:
            raise InputError(
                f"backward_steps is {backward_steps} and recurrence {recurrence}; use at least 0 "
                "and at least 1."
            )
        self.loss, self.weight, self.clip = loss, weight, clip
        self.backward_steps, self.backward_lr = backward_steps, backward_lr
        self.recurrence = recurrence

    def begin(self, run: Run) -> GuideRun | None:
        """``None`` where every part is left out.

        Raises:
            InputError: the loss is not one finite number for each picture.
        """
        guides = self.weight or (self.backward_steps and self.backward_lr)
        if not guides and self.recurrence == 1:
            return None
        if guides:
            self._try(run)
        return _UniversalRun(self) if self.recurrence == 1 else _RecurrentRun(self)

    def _try(self, run: Run) -> None:
        """On something grey, before any step is taken."""
        batch = run.shape[0]
        value = tried(lambda: self.loss(torch.zeros(tuple(run.shape), device=run.device)))
        if value is None:
            return
        if tuple(value.shape) != (batch,):
            raise InputError(
                f"The loss gave a result of shape {tuple(value.shape)} for {batch} pictures; it "
                f"must give one number for each, of shape ({batch},)."
            )
        if not bool(torch.isfinite(value).all()):
            raise InputError(
                "The loss is NaN or infinite for a grey picture; it must be finite for every one."
            )


class _UniversalRun(GuideRun):
    def __init__(self, guidance: UniversalGuidance) -> None:
        self._guidance = guidance

    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        x_0 = self._backward(self._forward(denoiser, x_t, step))
        return x_0.clamp(-1, 1) if self._guidance.clip else x_0

    def _forward(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        if not self._guidance.weight or step.alpha == 0:
            return denoiser.unclipped(x_t)
        x_0, slope = gradient_through(denoiser.unclipped, self._guidance.loss, x_t)
        # In the scale of a variance-preserving state.
        slope = step.scale * slope
        return x_0 - self._guidance.weight * (1 - step.a_bar) / math.sqrt(step.a_bar) * slope

    def _backward(self, x_0: Tensor) -> Tensor:
        d = torch.zeros_like(x_0)
        for _ in range(self._guidance.backward_steps):
            d = d - self._guidance.backward_lr * gradient(lambda d: self._guidance.loss(x_0 + d), d)
        return x_0 + d if self._guidance.backward_steps else x_0


class _RecurrentRun(_UniversalRun):
    def repeats(self, step: Step) -> int:
        return self._guidance.recurrence
