"""The exact network of a Gaussian mixture at any noise level, float64 inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ilvr_latent.diffusion.schedule import alphas_cumprod
from tests.conftest import ExactConfig


@dataclass
class Gaussians:
    """x_0 ~ sum_k weights_k N(mu_k, spread^2), as a formula and as a network that gives eps.

    Timesteps between whole ones are taken too, as a trained network takes them.
    """

    mu: Tensor
    weights: Tensor
    spread: float
    config: ExactConfig = field(default_factory=ExactConfig)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    calls: int = 0

    @classmethod
    def one(cls, mean: Tensor, spread: float) -> Gaussians:
        """A single Gaussian."""
        return cls(mean, torch.ones(1), spread)

    def x_0(self, x: Tensor, a: Tensor | float) -> Tensor:
        """E[x_0 | x_t] for x (B, C, H, W) with alpha-bar a, float64."""
        a = torch.as_tensor(a, dtype=torch.float64).reshape(-1, 1, 1, 1, 1)
        v = a * self.spread**2 + 1 - a
        away = x.double()[:, None] - a.sqrt() * self.mu.double()
        log_r = self.weights.double().log() - (away.square() / (2 * v)).flatten(2).sum(2)
        r = log_r.softmax(1)[:, :, None, None, None]
        return (r * (self.mu.double() + a.sqrt() * self.spread**2 / v * away)).sum(1)

    def score(self, x: Tensor, a: float) -> Tensor:
        """Of x_t, in x's dtype."""
        return ((math.sqrt(a) * self.x_0(x, a) - x.double()) / (1 - a)).to(x)

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        self.calls += 1
        a_bar = alphas_cumprod(self.config.noise_schedule, self.config.diffusion_steps)
        u = ((1 - a_bar) / a_bar).log()
        low = t.double().floor().long().clamp(max=len(u) - 2)
        u_t = torch.lerp(u[low], u[low + 1], t.double() - low)
        a = 1 / (1 + u_t.exp())
        x_0, a = self.x_0(x, a), a.view(-1, 1, 1, 1)
        return ((x.double() - a.sqrt() * x_0) / (1 - a).sqrt()).to(x)


class Replayed:
    """Recorded numbers: x_T, z[i] of step i, corrector[i][j] of move j at level i."""

    def __init__(self, x_T: Tensor, z: Tensor | None = None, corrector: Tensor | None = None):
        self._x_T, self._z, self._corrector = x_T, z, corrector

    def initial(self, shape: Sequence[int]) -> Tensor:
        return self._x_T

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        assert self._z is not None
        return self._z[i]

    def reference(self, i: int, shape: Sequence[int]) -> Tensor:
        raise AssertionError("no reference noise was recorded")

    def corrector(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        assert self._corrector is not None
        return self._corrector[i][j]
