"""The numbers of a reverse step: posterior mean and variance, and x_0 from a network's output.

DDPM   arXiv 2006.11239, eq. 6-7 (posterior mean and variance)
IDDPM  arXiv 2102.09672, eq. 15 (learned variance, between beta and beta-tilde in the log)

x_t   state            a_bar       alpha-bar at t                beta   1 - a_bar / a_bar_prev
x_0   clean estimate   a_bar_prev  at the next, less noisy step  beta_tilde  posterior variance
eps   predicted noise              (1 after the last step)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from ..errors import InputError
from .denoiser import DenoiserConfig

Variance = Literal["learned_range", "fixed_large", "fixed_small"]


@dataclass(frozen=True)
class Transition:
    """The numbers of one reverse step, from a_bar to a_bar_prev."""

    a_bar: float
    a_bar_prev: float
    log_beta_tilde: float  # of the step before the last where beta_tilde is 0, as guided-diffusion

    @property
    def beta(self) -> float:
        """Variance that the forward process adds between the two levels."""
        return 1 - self.a_bar / self.a_bar_prev

    @property
    def last(self) -> bool:
        """Whether this step ends at the clean image, where no noise is added."""
        return self.a_bar_prev == 1.0

    def posterior_mean(self, x_0: Tensor, x_t: Tensor) -> Tensor:
        """Mean of q(x_{t-1} | x_t, x_0), DDPM eq. 7."""
        rest = 1 - self.a_bar
        return (math.sqrt(self.a_bar_prev) * self.beta / rest) * x_0 + (
            math.sqrt(1 - self.beta) * (1 - self.a_bar_prev) / rest
        ) * x_t


class NoiseLevels(Protocol):
    """What :func:`transitions` reads of a schedule."""

    @property
    def a_bar(self) -> tuple[float, ...]:
        """alpha-bar of each step, noisiest first."""
        ...

    def a_bar_next(self, index: int) -> float:
        """alpha-bar of the state that step ``index`` produces."""
        ...


def transitions(schedule: NoiseLevels) -> list[Transition]:
    """The reverse steps of a schedule, noisiest first."""
    levels = [(a_bar, schedule.a_bar_next(index)) for index, a_bar in enumerate(schedule.a_bar)]
    beta_tilde = [(1 - a / p) * (1 - p) / (1 - a) for a, p in levels]
    if levels[-1][1] == 1:
        beta_tilde[-1] = beta_tilde[-2] if len(levels) > 1 else 1 - levels[-1][0]
    return [Transition(a, p, math.log(b)) for (a, p), b in zip(levels, beta_tilde, strict=True)]


def predicted_x_0(output: Tensor, x_t: Tensor, a_bar: float, prediction_type: str) -> Tensor:
    """The clean image that a network's output (B, C, H, W) stands for."""
    if prediction_type == "sample":
        return output
    if prediction_type == "v_prediction":
        return math.sqrt(a_bar) * x_t - math.sqrt(1 - a_bar) * output
    return (1 / math.sqrt(a_bar)) * x_t - math.sqrt(1 / a_bar - 1) * output


def log_variance(
    transition: Transition, variance: Variance, learned: Tensor | None
) -> Tensor | float:
    """Log of the variance of p(x_{t-1} | x_t).

    Args:
        transition: the step.
        variance: which one.
        learned: the network's variance channels, (B, C, H, W) in [-1, 1], for ``learned_range``.
    """
    low, high = transition.log_beta_tilde, math.log(transition.beta)
    if variance == "learned_range" and learned is not None:
        share = (learned + 1) / 2
        return share * high + (1 - share) * low
    if variance == "fixed_small" or transition.last:
        return low
    return high


def default_variance(config: DenoiserConfig) -> Variance:
    """What the network has learned, else the fixed variance that its configuration names."""
    if config.learn_sigma:
        return "learned_range"
    return "fixed_small" if config.sigma_small else "fixed_large"


def checked_variance(config: DenoiserConfig, variance: Variance | None) -> Variance:
    """The variance of DDPM that was chosen, or the network's own for ``None``.

    Raises:
        InputError: it is unknown, or the network has not learned one.
    """
    if variance is None:
        return default_variance(config)
    if variance not in ("learned_range", "fixed_large", "fixed_small"):
        raise InputError(
            f"The variance is {variance!r}; use 'learned_range', 'fixed_large' or 'fixed_small'."
        )
    if variance == "learned_range" and not config.learn_sigma:
        raise InputError(
            "The variance is 'learned_range', but this network has not learned one; "
            "use 'fixed_large' or 'fixed_small'."
        )
    return variance
