"""RePaint: Inpainting using Denoising Diffusion Probabilistic Models (arXiv 2201.09865).

Its conditioning, x <- m x_known + (1 - m) x_unknown (eq. 8), is ILVR's with a mask and N = 1. What
is here is the other half: resampling (section 4.2, appendix B). Every j steps the state goes back
j levels by the forward process and is denoised again, so that what was made up in the hole and
what is known about it can come to agree.

    x_t   state       j   jump_length        r   jump_n_sample       n   steps of the run

A run has n + 1 levels: level k is the state that step k starts from, 0 the pure noise and n the
finished image.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from torch import Tensor

from ..errors import InputError
from .noise import JumpNoise, NoiseSource
from .schedule import Schedule, Step


@dataclass(frozen=True)
class Resampling:
    """How often, and how far, a run goes back.

    As in the authors' schedule, jumps start at the last noisy level and at every j-th before it
    from which a whole jump fits into the run; the finished image is never noised again.

    Args:
        jump_length: j, how many levels a jump goes back, and how many lie between two places to
            jump from; at least 1. The paper has 10, for 250 steps.
        jump_n_sample: r, how often the j steps before such a place are taken in all; 1 is no jump.

    Raises:
        InputError: one of them is not a whole number of at least 1.
    """

    jump_length: int = 10
    jump_n_sample: int = 10

    def __post_init__(self) -> None:
        for name in ("jump_length", "jump_n_sample"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value}; use a whole number of at least 1.")

    def stretches(self, steps: int) -> tuple[tuple[int, int], ...]:
        """The way through the levels of a run.

        Args:
            steps: n.

        Returns:
            (first, last) level of each stretch of denoising. From the end of one, a jump leads
            back to the beginning of the next; without a jump it is all one stretch.

        Raises:
            InputError: no jump fits into the run.
        """
        if self.jump_n_sample == 1:
            return ((0, steps),)
        if steps <= self.jump_length:
            raise InputError(
                f"jump_length is {self.jump_length}, but the run has {steps} steps, too few for a "
                f"jump; {_remedy(steps)}."
            )
        origins = range(steps - 1, self.jump_length - 1, -self.jump_length)
        stretches, start = [], 0
        for origin in reversed(origins):
            for _ in range(self.jump_n_sample - 1):
                stretches.append((start, origin))
                start = origin - self.jump_length
        return *stretches, (start, steps)

    def calls(self, steps: int) -> int:
        """Network calls of a run of n steps: n + j (r - 1) ceil((n - j) / j).

        Raises:
            InputError: no jump fits into the run.
        """
        return sum(last - first for first, last in self.stretches(steps))


def _remedy(steps: int) -> str:
    return f"use one from 1 to {steps - 1}, or more steps" if steps > 1 else "take more steps"


def renoised(
    x_t: Tensor, level: tuple[float, float], noisier: tuple[float, float], eps: Tensor
) -> Tensor:
    """A draw from q(x_{t+j} | x_t), where x_t = alpha x_0 + sigma noise.

    One draw has the distribution of the paper's j single ones (Algorithm 1, line 10). In this form
    it serves VP (alpha^2 + sigma^2 = 1), VE (alpha = 1) and flow (alpha + sigma = 1) alike.

    Args:
        x_t: the state, (B, ...).
        level: alpha and sigma of x_t; alpha above 0.
        noisier: alpha and sigma of x_{t+j}.
        eps: standard normal noise of x_t's shape.
    """
    kept = noisier[0] / level[0]
    return kept * x_t + math.sqrt(max(noisier[1] ** 2 - (kept * level[1]) ** 2, 0.0)) * eps


@dataclass(frozen=True)
class Jump:
    """A move of a run that goes back.

    Attributes:
        number: of the jump in the run, from 0.
        level: the step that would be next.
        noisier: the step that is next instead.
        noise: where its random numbers come from.
    """

    number: int
    level: Step
    noisier: Step
    noise: JumpNoise

    def __call__(self, x_t: Tensor) -> Tensor:
        """The state at the noisier level."""
        level, noisier = ((step.alpha, step.sigma) for step in (self.level, self.noisier))
        return renoised(x_t, level, noisier, self.noise.jump(self.number, x_t.shape).to(x_t))


def walk(
    schedule: Schedule, resampling: Resampling | None, noise: NoiseSource
) -> list[Step | Jump]:
    """What a run does, in order: the steps that it takes, and the jumps between them.

    Args:
        schedule: the steps.
        resampling: ``None`` takes each step once.
        noise: of the run.

    Raises:
        InputError: no jump fits into the run, or the source has no noise for jumps.
    """
    stretches = (resampling or Resampling(jump_n_sample=1)).stretches(len(schedule))
    moves: list[Step | Jump] = []
    level = gone_back = 0
    for number, (first, last) in enumerate(stretches, start=-1):
        if first < level:
            if not isinstance(noise, JumpNoise):
                raise InputError(
                    "The noise source has no noise for jumps; give it a method "
                    "jump(i, shape), or leave resampling out."
                )
            moves.append(Jump(number, schedule.steps[level], schedule.steps[first], noise))
            gone_back += level - first
        steps = schedule.steps[first:last]
        moves += [dataclasses.replace(step, gone_back=gone_back) for step in steps]
        level = last
    return moves
