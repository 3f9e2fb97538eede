"""What every training run here shares: the forward process, its loss, EMA and the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Generator, Tensor, nn


def noised(x_0: Tensor, eps: Tensor, a_bar: Tensor) -> Tensor:
    """x_t = sqrt(a_bar) x_0 + sqrt(1 - a_bar) eps, with a_bar of shape (B,)."""
    a_bar = a_bar.view(-1, *[1] * (x_0.ndim - 1))
    return a_bar.sqrt() * x_0 + (1 - a_bar).sqrt() * eps


def velocity(x_0: Tensor, eps: Tensor, a_bar: Tensor) -> Tensor:
    """v = sqrt(a_bar) eps - sqrt(1 - a_bar) x_0 (arXiv 2202.00512, appendix D)."""
    a_bar = a_bar.view(-1, *[1] * (x_0.ndim - 1))
    return a_bar.sqrt() * eps - (1 - a_bar).sqrt() * x_0


def capped_weight(a_bar: Tensor, gamma: float = 5.0) -> Tensor:
    """Loss weight for v-prediction, min(snr + 1, gamma) / (snr + 1).

    Min-SNR, min(snr, gamma) / (snr + 1) (arXiv 2303.09556), goes to zero at high noise, and with it
    what is learned of the layout, which is decided first. Here the error of x_0 counts there too.
    """
    return (gamma * (1 - a_bar)).clamp(max=1)


def noised_at_random(
    x_0: Tensor, a_bars: Tensor, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """x_t, the timestep of each picture (B,), and the eps that was added.

    The timesteps of a batch are spread evenly over all, from a random first one: the loss varies
    less from batch to batch (arXiv 2107.00630, appendix I.1).
    """
    size, steps = len(x_0), len(a_bars)
    first = torch.randint(steps, (1,), generator=generator, device=x_0.device)
    t = (first + torch.arange(size, device=x_0.device) * steps // size) % steps
    eps = torch.randn(x_0.shape, generator=generator, device=x_0.device)
    return noised(x_0, eps, a_bars[t]), t, eps


def velocity_loss(
    predicted: Callable[[Tensor, Tensor], Tensor],
    x_0: Tensor,
    a_bars: Tensor,
    generator: Generator,
) -> Tensor:
    """Weighted error of a predicted velocity at random timesteps, a scalar.

    Args:
        predicted: (x_t, t) to v.
        x_0: clean pictures or latents (B, C, H, W).
        a_bars: of all timesteps, on the same device.
        generator: where every random number comes from, likewise.
    """
    x_t, t, eps = noised_at_random(x_0, a_bars, generator)
    a_bar = a_bars[t]
    v = predicted(x_t.contiguous(memory_format=torch.channels_last), t)
    error = (v - velocity(x_0, eps, a_bar)).square().mean(dim=(1, 2, 3))
    return (capped_weight(a_bar) * error).mean()


def learning_rate_factor(progress: float, step: int, *, warm_up: int, decay: float) -> float:
    """Linear warm-up, flat, then a cosine to 2 % over the last ``decay`` of the run."""
    start = 1 - decay
    falling = min(max((progress - start) / decay, 0.0), 1.0)
    return min(1.0, (step + 1) / warm_up) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * falling)))


def ema_decay(step: int, span: float) -> float:
    """The decay that makes averaged weights a power function of the step (EDM2, arXiv 2312.02696).

    Args:
        step: steps done.
        span: standard deviation of the profile as a share of the run (sigma_rel), below 0.29.
    """
    decay: float = (1 - 1 / step) ** (_exponent(span) + 1)
    return decay


@lru_cache
def _exponent(span: float) -> float:
    """gamma, from sigma_rel = (gamma + 1)^1/2 (gamma + 2)^-1 (gamma + 3)^-1/2 (its eq. 123)."""
    return float(np.roots([1, 7, 16 - span**-2, 12 - span**-2]).real.max())


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, decay: float) -> None:
    """ema = decay * ema + (1 - decay) * model, parameter by parameter."""
    torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - decay)
