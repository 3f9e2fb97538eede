"""Solvers of second order, which remember what the network said at the level before.

DPM-Solver++(2M)   arXiv 2211.01095, Algorithm 2
UniPC-2            arXiv 2302.04867, Algorithms 1 and 2, data prediction, B_2(h) = e^h - 1

    x_t = alpha x_0 + sigma eps        lam = log(alpha / sigma)        h = lam_prev - lam_t
    x_prev = (sigma_prev / sigma_t) x_t - alpha_prev (e^-h - 1) D

    D_1 = (x_0 - x_0 of the step before) / r             r = h of the step before / h

D is x_0 + w D_1, with w = 1/2 in both papers, or x_0 alone (first order) at the end of the schedule
and where a step does not begin at the level at which the one before ended: the first, and those
after a jump. So, too, where the step before was much shorter, as at the joins of steps "10,10,5":
what the network, or a guide, changed between two levels that are all but one is no slope.

Damped (ours), w = e^(-h^2/10) / 2 in the predictor: at ten steps the whole D_1 makes a quarter too
much of the finest detail and none of it a third too little (docs/steps.md). D_1 is of order h, so
what is left out of a step is of order h^4, and the order stays two.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Self

from torch import Tensor

from .denoiser import DenoiserConfig
from .reverse import Transition, Variance

# Steps that are even in t come down to 0.197, those between sections to 0.007.
SHORTEST = 0.15


class Taken(NamedTuple):
    """The step before, as far as the next one needs it."""

    transition: Transition
    x_0: Tensor
    slope: Tensor | None
    """D_1 of it; ``None`` where it was of first order."""
    r: float
    """Of no meaning without a slope."""


class Multistep:
    """What both solvers share: a deterministic step with one step's memory."""

    has_mean: ClassVar[bool] = False
    damping: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self._before: Taken | None = None

    @classmethod
    def of(cls, config: DenoiserConfig, *, eta: float, variance: Variance | None) -> Self:
        """None of the settings concerns it."""
        return cls()

    def begin(self) -> Self:
        """One without memory."""
        return type(self)()

    def step(
        self,
        x_0: Tensor,
        x_t: Tensor,
        z: Tensor,
        transition: Transition,
        learned: Tensor | None = None,
        mean: object = None,
    ) -> Tensor:
        """See :class:`.samplers.Sampler`."""
        before = self._before
        if before is not None and before.transition.a_bar_prev != transition.a_bar:
            before = None
        if before is not None:
            x_t = self._corrected(x_t, x_0, before)
        if transition.last:
            self._before = None
            return x_0
        r = 0.0 if before is None else _length(before.transition) / _length(transition)
        slope = None if before is None or r < SHORTEST else (x_0 - before.x_0) / r
        self._before = Taken(transition, x_0, slope, r)
        weight = 0.5 * math.exp(-self.damping * _length(transition) ** 2)
        D = x_0 if slope is None else x_0 + weight * slope
        ratio = math.sqrt((1 - transition.a_bar_prev) / (1 - transition.a_bar))
        return ratio * x_t - _share(transition) * D

    def _corrected(self, x_t: Tensor, x_0: Tensor, before: Taken) -> Tensor:
        """The state that the step before ended at, once its estimate is known."""
        return x_t


class DPMSolverPP2M(Multistep):
    """DPM-Solver++(2M)."""


class UniPC(Multistep):
    """UniPC of order two: its predictor is DPM-Solver++(2M), and each estimate mends the last step.

    The correction is added to the state, so that what a guide changed in the state stays.
    """

    def _corrected(self, x_t: Tensor, x_0: Tensor, before: Taken) -> Tensor:
        """UniC: the difference between its state and the predictor's, added."""
        change = x_0 - before.x_0
        if before.slope is None:
            D = 0.5 * change
        else:
            rho_1, rho_2 = _weights(_length(before.transition), before.r)
            D = (rho_1 - 0.5) * before.slope + rho_2 * change
        return x_t - _share(before.transition) * D


class DampedUniPC(UniPC):
    """UniPC for few steps: its predictor goes less far along D_1 the longer the step is."""

    damping = 0.1


def _weights(h: float, r: float) -> tuple[float, float]:
    """rho of D_1 and of the new difference: R rho = b at the levels -r and 1, in units of h."""
    one = math.expm1(-h)
    phi_2 = -one / h - 1
    phi_3 = -phi_2 / h - 0.5
    b_1, b_2 = phi_2 / one, 2 * phi_3 / one
    rho_1 = (b_1 - b_2) / (1 + r)
    return rho_1, b_1 - rho_1


def _share(transition: Transition) -> float:
    """alpha_prev (e^-h - 1), which is not above 0."""
    return math.sqrt(transition.a_bar_prev) * math.expm1(-_length(transition))


def _length(transition: Transition) -> float:
    """h, in the log of the signal-to-noise ratio's root."""
    return _lam(transition.a_bar_prev) - _lam(transition.a_bar)


def _lam(a_bar: float) -> float:
    return 0.5 * math.log(a_bar / (1 - a_bar))
