"""Score-Based Generative Modeling through Stochastic Differential Equations, arXiv 2011.13456.

The probability flow, section 4.3: an equation without noise that turns noise into pictures, and
backwards pictures into noise.

    dx/dt = -beta(t) / 2 (x + s)        beta(t) = beta_min + t (beta_max - beta_min)

    x   state, alpha^2 + sigma^2 = 1    s   score       t   from 1 (noise) to t_end

For networks, see :mod:`.network_flow`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError, check_choice
from .dormand_prince import check_tolerance, integrate
from .langevin import Score
from .predictor_corrector import NORMS, Norms

TOLERANCE = 1e-5


@torch.no_grad()
def sample_ode(
    score: Score,
    x_T: Tensor,
    *,
    beta_min: float = 0.1,
    beta_max: float = 20.0,
    t_end: float = 1e-3,
    rtol: float = TOLERANCE,
    atol: float = TOLERANCE,
    norms: Norms = "image",
    denoise: bool = False,
) -> Tensor:
    """Follow the probability flow from noise to a picture.

    Args:
        score: ``score(x, t)``, t from 1 to ``t_end``.
        x_T: (B, ...), standard normal.
        beta_min: noise per time at t = 0.
        beta_max: at t = 1.
        t_end: where the flow is left, above 0: the score has no bound at 0.
        rtol: relative error of a step.
        atol: absolute error of a step.
        norms: the error is that of each ``image``, which is then followed by itself, or of the
            ``batch``, which is followed as one, with fewer calls.
        denoise: end with the mean of the clean picture at ``t_end``, as the authors' code does.

    Returns:
        The state at ``t_end``, of x_T's shape and dtype.

    Raises:
        InputError: a setting is outside its range.
    """
    flow = _Flow(score, beta_min, beta_max)
    x = _solved(flow, x_T, (1.0, t_end), (rtol, atol), norms)
    return flow.clean(x, t_end) if denoise else x


@torch.no_grad()
def encode_ode(
    score: Score,
    x_0: Tensor,
    *,
    beta_min: float = 0.1,
    beta_max: float = 20.0,
    t_end: float = 1e-3,
    rtol: float = TOLERANCE,
    atol: float = TOLERANCE,
    norms: Norms = "image",
) -> Tensor:
    """The noise that a picture comes from: :func:`sample_ode` backwards.

    Args:
        score: see :func:`sample_ode`, as the rest.
        x_0: the state at ``t_end``, (B, ...).
        beta_min: noise per time at t = 0.
        beta_max: at t = 1.
        t_end: where the flow is entered.
        rtol: relative error of a step.
        atol: absolute error of a step.
        norms: of each ``image`` or of the ``batch``.

    Returns:
        The state at t = 1.

    Raises:
        InputError: a setting is outside its range.
    """
    return _solved(_Flow(score, beta_min, beta_max), x_0, (t_end, 1.0), (rtol, atol), norms)


@dataclass(frozen=True)
class _Flow:
    """The right-hand side in t."""

    score: Score
    beta_min: float
    beta_max: float

    def __call__(self, x: Tensor, t: float, interval: int) -> Tensor:
        beta = self.beta_min + t * (self.beta_max - self.beta_min)
        return (-beta / 2) * (x + self.score(x, t))

    def clean(self, x: Tensor, t: float) -> Tensor:
        """The mean of the clean picture, (x + sigma^2 s) / alpha."""
        log_a_bar = -(t**2) * (self.beta_max - self.beta_min) / 2 - t * self.beta_min
        return (x - math.expm1(log_a_bar) * self.score(x, t)) / math.exp(log_a_bar / 2)


def _solved(
    flow: _Flow,
    x: Tensor,
    times: tuple[float, float],
    bounds: tuple[float, float],
    norms: Norms,
) -> Tensor:
    if not 0 < min(times) < 1:
        raise InputError(f"t_end is {min(times)}; use a time above 0 and below 1, such as 1e-3.")
    if not 0 <= flow.beta_min < flow.beta_max:
        raise InputError(
            f"beta goes from {flow.beta_min} to {flow.beta_max}; use 0 <= beta_min < beta_max."
        )
    check_choice("norms", norms, NORMS)
    rtol, atol = bounds
    check_tolerance(rtol)
    check_tolerance(atol)
    parts = torch.split(x, 1 if norms == "image" else len(x))
    return torch.cat([next(integrate(flow, p, times, rtol=rtol, atol=atol)) for p in parts])
