"""Reverse steps as objects: what each paper puts between x_t and x_{t-1}.

DDPM   arXiv 2006.11239, eq. 6-7      p(x_{t-1} | x_t): posterior mean and a variance
DDIM   arXiv 2010.02502, eq. 12, 16   eta = 0 deterministic, 1 as noisy as DDPM

Solvers that remember steps are in :mod:`.multistep`.

x_t   state            a_bar       alpha-bar at t                mu     posterior mean
x_0   clean estimate   a_bar_prev  at the next, less noisy step  eps    predicted noise
z     normal noise                 (1 after the last step)       sigma  of the noise that is added

A new sampler is a class with ``of``, ``begin`` and ``step`` and a line in :data:`SAMPLERS`: the
pixel sampler, the ADM Sampler of ComfyUI and the command line read that table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from torch import Tensor

from ..errors import InputError
from .denoiser import DenoiserConfig
from .multistep import DampedUniPC, DPMSolverPP2M, UniPC
from .reverse import Transition, Variance, checked_variance, log_variance

Mean = Callable[[Tensor, "Tensor | float"], Tensor]
"""What guides make of (mu, variance); gives mu."""


class Sampler(Protocol):
    """One way from a state to the next, less noisy one."""

    has_mean: ClassVar[bool]
    """Whether it asks guides about a posterior mean."""

    @classmethod
    def of(cls, config: DenoiserConfig, *, eta: float, variance: Variance | None) -> Self:
        """With the settings that concern it; the others are ignored.

        Raises:
            InputError: one cannot be used, or not with this network.
        """
        ...

    def begin(self) -> Sampler:
        """The sampler for one run; what it remembers of steps belongs to that run."""
        ...

    def step(
        self,
        x_0: Tensor,
        x_t: Tensor,
        z: Tensor,
        transition: Transition,
        learned: Tensor | None = None,
        mean: Mean | None = None,
    ) -> Tensor:
        """x_{t-1}.

        Args:
            x_0: the clean estimate, (B, C, H, W).
            x_t: the state, with alpha^2 + sigma^2 = 1.
            z: standard normal noise.
            transition: the two levels.
            learned: the network's variance channels in [-1, 1], where it has them.
            mean: asked about the mean before the noise is added, where there is one.
        """
        ...


@dataclass(frozen=True)
class DDPM:
    """Ancestral sampling.

    Args:
        variance: of p(x_{t-1} | x_t), see :func:`.reverse.log_variance`.
    """

    variance: Variance = "fixed_large"
    has_mean: ClassVar[bool] = True

    @classmethod
    def of(cls, config: DenoiserConfig, *, eta: float, variance: Variance | None) -> Self:
        """The variance that was chosen, or the network's own.

        Raises:
            InputError: it is unknown, or the network has not learned one.
        """
        return cls(checked_variance(config, variance))

    def begin(self) -> Self:
        """Itself: it remembers nothing."""
        return self

    def step(
        self,
        x_0: Tensor,
        x_t: Tensor,
        z: Tensor,
        transition: Transition,
        learned: Tensor | None = None,
        mean: Mean | None = None,
    ) -> Tensor:
        """mu + sqrt(variance) z; mu after the last step."""
        mu = transition.posterior_mean(x_0, x_t)
        log_v = log_variance(transition, self.variance, learned)
        if mean is not None:
            # guided-diffusion's fixed_small variance is clipped in its logarithm alone.
            exact_zero = self.variance == "fixed_small" and transition.last
            mu = mean(mu, 0.0 if exact_zero else _exp(log_v))
        return mu if transition.last else mu + _exp(0.5 * log_v) * z


@dataclass(frozen=True)
class DDIM:
    """Implicit sampling.

    Args:
        eta: 0 to 1.

    Raises:
        InputError: eta is outside.
    """

    eta: float = 0.0
    has_mean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_eta(self.eta)

    @classmethod
    def of(cls, config: DenoiserConfig, *, eta: float, variance: Variance | None) -> Self:
        """With this eta.

        Raises:
            InputError: it is outside [0, 1].
        """
        return cls(eta)

    def begin(self) -> Self:
        """Itself: it remembers nothing."""
        return self

    def step(
        self,
        x_0: Tensor,
        x_t: Tensor,
        z: Tensor,
        transition: Transition,
        learned: Tensor | None = None,
        mean: Mean | None = None,
    ) -> Tensor:
        """Eq. 12 with sigma from eq. 16."""
        a_bar, a_bar_prev = transition.a_bar, transition.a_bar_prev
        sigma = self.eta * math.sqrt((1 - a_bar_prev) / (1 - a_bar)) * math.sqrt(transition.beta)
        eps = ((1 / math.sqrt(a_bar)) * x_t - x_0) * (1 / math.sqrt(1 / a_bar - 1))
        towards = math.sqrt(a_bar_prev) * x_0 + math.sqrt(1 - a_bar_prev - sigma**2) * eps
        return towards if transition.last else towards + sigma * z


SAMPLERS: dict[str, type[Sampler]] = {
    "ddpm": DDPM,
    "ddim": DDIM,
    "dpmpp_2m": DPMSolverPP2M,
    "unipc": UniPC,
    "unipc_damped": DampedUniPC,
}


def chosen_sampler(
    name: str, config: DenoiserConfig, *, eta: float = 1.0, variance: Variance | None = None
) -> Sampler:
    """A sampler of the table, with what of the settings concerns it.

    Args:
        name: a key of :data:`SAMPLERS`.
        config: of the network.
        eta: noise of DDIM, 0 to 1.
        variance: of DDPM; ``None`` takes the network's own.

    Raises:
        InputError: there is no such sampler, or a setting cannot be used.
    """
    if name not in SAMPLERS:
        options = " or ".join(repr(known) for known in SAMPLERS)
        raise InputError(f"The sampler is {name!r}; use {options}.")
    check_eta(eta)
    return SAMPLERS[name].of(config, eta=eta, variance=variance)


def check_eta(eta: float) -> None:
    """Refuse noise that there is none of.

    Raises:
        InputError: eta is outside [0, 1].
    """
    if not 0 <= eta <= 1:
        raise InputError(f"eta is {eta}; use a number from 0 (no noise) to 1 (as DDPM).")


def _exp(x: Tensor | float) -> Tensor | float:
    return x.exp() if isinstance(x, Tensor) else math.exp(x)
