"""Generative Modeling by Estimating Gradients of the Data Distribution, arXiv 1907.05600.

Annealed Langevin dynamics, Algorithm 1. For each noise level sigma_i, the noisiest first, L in all:

    a_i = eps sigma_i^2 / sigma_L^2
    x <- x + a_i / 2 s(x, sigma_i) + sqrt(a_i) z          steps_each times

    x     state, x_0 + sigma_i noise        s    score        z    normal noise
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .noise import CorrectorNoise, corrector_of

Score = Callable[[Tensor, float], Tensor]
"""A state (B, ...) at a noise level or a time to the score, of the same shape."""


@torch.no_grad()
def annealed_langevin(
    score: Score,
    x: Tensor,
    sigmas: Sequence[float] | Tensor,
    *,
    eps: float = 2e-5,
    steps_each: int = 100,
    denoise: bool = False,
    noise: CorrectorNoise,
) -> Tensor:
    """Sample by annealed Langevin dynamics.

    Args:
        score: of the variance-exploding process, ``score(x, sigma)``.
        x: where it begins, (B, ...).
        sigmas: noise levels, descending, above 0.
        eps: size of the steps at the last level.
        steps_each: moves at each level.
        denoise: end with the mean of the clean picture at the last level (arXiv 2006.09011).
        noise: asked for ``corrector(i, j, shape)``, move j at level i.

    Returns:
        As ``x``.

    Raises:
        InputError: the levels do not descend to above 0, or a setting is outside its range.
    """
    levels = [float(sigma) for sigma in sigmas]
    if not levels or levels[-1] <= 0 or levels != sorted(levels, reverse=True):
        raise InputError(f"The sigmas are {levels}; give descending noise levels above 0.")
    if eps <= 0 or steps_each < 1:
        raise InputError(
            f"eps is {eps} and steps_each {steps_each}; use an eps above 0 and 1 step or more."
        )
    source = corrector_of(noise)
    for i, sigma in enumerate(levels):
        a = eps * sigma**2 / levels[-1] ** 2
        for j in range(steps_each):
            z = source.corrector(i, j, x.shape).to(x)
            x = x + a / 2 * score(x, sigma) + math.sqrt(a) * z
    return x + levels[-1] ** 2 * score(x, levels[-1]) if denoise else x
