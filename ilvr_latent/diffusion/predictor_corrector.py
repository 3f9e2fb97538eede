"""Score-Based Generative Modeling through Stochastic Differential Equations, arXiv 2011.13456.

Predictor-corrector sampling of the variance-preserving process, Algorithms 3 and 5. At every level,
noisiest first:

    corrector   x <- x + h s + sqrt(2 h) z    h = 2 alpha (snr ||z|| / ||s||)^2
    predictor   x <- m + sqrt(beta) z         m = (x + beta s) / sqrt(alpha)     ancestral
                                              m = (2 - sqrt(alpha)) x + beta s   reverse_diffusion
                x <- m + sqrt(B) z            m = x + B (x / 2 + s)              euler_maruyama

    x_t   state            s     score, -eps / sqrt(1 - a_bar)   beta   1 - a_bar / a_bar_prev
    x_0   clean estimate   snr   signal-to-noise ratio           alpha  1 - beta
    z     normal noise     h     step of the Langevin dynamics   B      integral of beta(t) dt

The picture is the mean of the last move. As in the authors' code the corrector comes first (the
paper: the predictor), and both are given the level that the state has come to. ``ancestral``
without correctors is DDPM with the fixed large variance; the probability flow is the reverse
diffusion with half the score and no noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .. import defaults
from ..errors import InputError, check_choice
from .denoiser import Denoiser
from .guide import HOOKS, Guide, GuideRun, Run, begun
from .guided import GuidedNetwork, first_state
from .loop import Callback
from .noise import NoiseSource, corrector_of
from .reverse import Transition, log_variance, transitions
from .samplers import Mean
from .schedule import Schedule, Step

Predictor = Literal["ancestral", "reverse_diffusion", "euler_maruyama", "none"]
Norms = Literal["image", "batch"]

PREDICTORS: tuple[Predictor, ...] = ("ancestral", "reverse_diffusion", "euler_maruyama", "none")
NORMS: tuple[Norms, ...] = ("image", "batch")
SNR = 0.16


class Move(NamedTuple):
    """Where a move of a predictor or a corrector leads."""

    mean: Tensor
    """Without its noise."""
    state: Tensor


@dataclass(frozen=True)
class PredictorCorrector:
    """The moves at one level, and their settings.

    Args:
        predictor: what goes to the next level; ``none`` leaves it to the correctors.
        snr: of the corrector, above 0; the paper's is 0.16.
        corrector_steps: moves of the corrector at each level, 0 or more.
        flow: the probability flow: half the score and no noise in the predictor.
        norms: of noise and score in the corrector: of each ``image``, or their mean over the
            ``batch``, as in the authors' code, which ties the pictures of a batch together.

    Raises:
        InputError: a setting is outside its range, or nothing would be done.
    """

    predictor: Predictor = "ancestral"
    snr: float = SNR
    corrector_steps: int = 1
    flow: bool = False
    norms: Norms = "image"

    def __post_init__(self) -> None:
        check_choice("predictor", self.predictor, PREDICTORS)
        check_choice("norms", self.norms, NORMS)
        if not 0 < self.snr < math.inf:
            raise InputError(f"snr is {self.snr}; use a number above 0, such as {SNR}.")
        if self.corrector_steps < 0:
            raise InputError(f"corrector_steps is {self.corrector_steps}; use 0 or more.")
        if self.predictor == "none" and self.corrector_steps == 0:
            raise InputError("There is neither a predictor nor a corrector; choose one of them.")
        if self.flow and self.predictor not in ("reverse_diffusion", "euler_maruyama"):
            raise InputError(
                f"The predictor {self.predictor!r} has no probability flow; use "
                "'reverse_diffusion' or 'euler_maruyama' with flow."
            )

    @property
    def has_mean(self) -> bool:
        """Whether the predictor's mean is that of p(x_{t-1} | x_t), which guides may shift."""
        return self.predictor == "ancestral"

    @property
    def draws(self) -> bool:
        """Whether the predictor adds noise."""
        return self.predictor != "none" and not self.flow

    def check(self, steps: Sequence[Transition]) -> None:
        """Refuse steps that the predictor is no approximation for.

        Raises:
            InputError: a step begins at pure noise, of which nothing is left at the next level.
        """
        if self.predictor in ("reverse_diffusion", "euler_maruyama") and steps[0].a_bar == 0:
            raise InputError(
                f"The first step begins at pure noise, where the predictor {self.predictor!r} "
                "has no next level; use 'ancestral', or begin at a lower noise level."
            )

    def corrected(self, x_t: Tensor, x_0: Tensor, z: Tensor, transition: Transition) -> Move:
        """One move of Langevin dynamics at the level of ``x_t``, Algorithm 5."""
        s = score(x_t, x_0, transition.a_bar)
        ratio = self.snr * self._norm(z) / self._norm(s)
        h = 2 * (1 - transition.beta) * ratio**2
        mean = x_t + h * s
        return Move(mean, mean + (2 * h).sqrt() * z)

    def predicted(
        self,
        x_t: Tensor,
        x_0: Tensor,
        z: Callable[[], Tensor],
        transition: Transition,
        mean: Mean | None = None,
    ) -> Move:
        """To the next level.

        Args:
            x_t: the state, (B, C, H, W), with alpha^2 + sigma^2 = 1.
            x_0: the clean estimate.
            z: standard normal noise; asked only where it is added.
            transition: the two levels.
            mean: asked about a posterior mean and its variance.
        """
        beta = transition.beta
        if self.predictor == "ancestral":
            mu = transition.posterior_mean(x_0, x_t)
            if mean is not None:
                mu = mean(mu, math.exp(float(log_variance(transition, "fixed_large", None))))
            # As DDPM computes the root, to the last bit.
            return Move(mu, mu + math.exp(0.5 * math.log(beta)) * z())
        s = score(x_t, x_0, transition.a_bar)
        share = 0.5 if self.flow else 1.0
        if self.predictor == "reverse_diffusion":
            added = beta
            m = (2 - math.sqrt(1 - beta)) * x_t + share * beta * s
        else:
            added = -math.log1p(-beta)
            m = x_t + added * (0.5 * x_t + share * s)
        return Move(m, m if self.flow else m + math.sqrt(added) * z())

    def _norm(self, x: Tensor) -> Tensor:
        """(B, 1, ...) of each picture, or (1, ...) of all."""
        norm: Tensor = torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True)
        return norm if self.norms == "image" else norm.mean(0, keepdim=True)


def score(x_t: Tensor, x_0: Tensor, a_bar: float) -> Tensor:
    """The score that a clean estimate stands for: -eps / sqrt(1 - a_bar)."""
    return (math.sqrt(a_bar) * x_0 - x_t) / (1 - a_bar)


@torch.no_grad()
def sample_pc(
    model: Denoiser,
    *,
    guide: Guide | None = None,
    shape: Sequence[int],
    steps: str | int = defaults.STEPS,
    predictor: Predictor = "ancestral",
    snr: float = SNR,
    corrector_steps: int = 1,
    flow: bool = False,
    norms: Norms = "image",
    class_labels: Tensor | None = None,
    clip_denoised: bool = False,
    noise: NoiseSource,
    callback: Callback | None = None,
) -> Tensor:
    """Predictor-corrector sampling, with any method of guidance.

    The network is called 1 + corrector_steps times at each level, and a guide is shown each of
    these calls. It takes many small steps: with few, beta is too large for the predictors but
    ``ancestral``.

    Args:
        model: the network.
        guide: the method, or ``None`` for an unguided sample. It is asked about the posterior mean
            by the ``ancestral`` predictor alone.
        shape: (B, C, H, W).
        steps: see :func:`ilvr_latent.diffusion.schedule.chosen_timesteps`.
        predictor: see :class:`PredictorCorrector`, as the next four.
        snr: of the corrector.
        corrector_steps: at each level.
        flow: the probability flow, discretised.
        norms: of each ``image`` or of the ``batch``.
        class_labels: int64 (B,), for class-conditional networks.
        clip_denoised: clamp the estimate of x_0 to [-1, 1] at every call; not in the paper.
        noise: where random numbers come from; a :class:`~.noise.CorrectorNoise` for correctors.
        callback: called after every level with its step and the state it produced, noise included.

    Returns:
        (B, C, H, W), the mean of the last move, not clamped; fp32, or float64 where the noise is.

    Raises:
        InputError: a setting is outside its range or does not fit the network, the guide or the
            noise source.
    """
    moves = PredictorCorrector(predictor, snr, corrector_steps, flow, norms)
    if corrector_steps:
        corrector_of(noise)
    schedule = Schedule(model.config.noise_schedule, model.config.diffusion_steps, steps)
    hooks = frozenset(HOOKS) - {"repeats"} - (frozenset() if moves.has_mean else {"mean"})
    guided = begun(guide, Run(schedule, tuple(shape), model.device, noise, hooks))
    network = GuidedNetwork(model, guided, class_labels, clip_denoised)

    x = first_state(noise, shape, model.device)
    move = Move(x, x)
    for step, transition in zip(schedule.steps, transitions(schedule), strict=True):
        for j in range(corrector_steps):
            x_t, x_0 = network(move.state, step, transition.a_bar)
            z = corrector_of(noise).corrector(step.index, j, shape).to(x_t)
            move = moves.corrected(x_t, x_0, z, transition)
        if predictor != "none":
            x_t, x_0 = network(move.state, step, transition.a_bar)
            z_of = partial(_step_noise, noise, step, x_t)
            mean = partial(_mean_of_guide, guided, step, x_t, x_0)
            move = moves.predicted(x_t, x_0, z_of, transition, mean)
        if callback is not None:
            callback(step, move.state)
    return guided.end(move.mean)


def _step_noise(noise: NoiseSource, step: Step, x_t: Tensor) -> Tensor:
    return noise.step(step.index, x_t.shape).to(x_t)


def _mean_of_guide(
    guided: GuideRun, step: Step, x_t: Tensor, x_0: Tensor, mu: Tensor, variance: Tensor | float
) -> Tensor:
    return guided.mean(mu, variance, x_t, x_0, step)
