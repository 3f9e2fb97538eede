"""The one loop of sampling in pixel space, over any denoiser, guided or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor

from .. import defaults
from ..errors import InputError
from .denoiser import Denoiser, DenoiserConfig
from .guide import HOOKS, Guide, GuideRun, Run, begun
from .guided import GuidedNetwork, first_state
from .noise import NoiseSource, RepeatNoise
from .resampling import Jump, Resampling, renoised, walk
from .reverse import Transition, Variance, transitions
from .samplers import Sampler, chosen_sampler
from .schedule import Schedule, Step

Callback = Callable[[Step, Tensor], None]


@dataclass(frozen=True)
class Start:
    """Begin from a picture instead of pure noise (SDEdit, arXiv 2108.01073).

    Attributes:
        image: (B, C, H, W) in [-1, 1]; noised to the level of the first step by x_T's noise.
        index: the first step that is taken, 0 = the noisiest.
    """

    image: Tensor
    index: int

    def rest(self, schedule: Schedule) -> Schedule:
        """The steps from there on.

        Raises:
            InputError: there is no such step.
        """
        first = self.index
        if not 0 <= first < len(schedule):
            raise InputError(
                f"The start is at step {first}, but the run has {len(schedule)}; use 0 (the "
                f"noisiest) to {len(schedule) - 1}."
            )
        return Schedule.of(
            [dataclasses.replace(s, index=s.index - first) for s in schedule.steps[first:]]
        )


@torch.no_grad()
def sample_with(
    model: Denoiser,
    guide: Guide | None,
    *,
    shape: Sequence[int],
    steps: str | int = defaults.STEPS,
    sampler: str | Sampler = defaults.SAMPLER,
    eta: float = defaults.ETA,
    variance: Variance | None = None,
    class_labels: Tensor | None = None,
    clip_denoised: bool = True,
    resampling: Resampling | None = None,
    noise: NoiseSource,
    start: Start | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Sample with any method of guidance; :func:`ilvr_latent.sample` is this with ILVR.

    A run that goes back shows the guide every step as often as it is taken, in that order; a jump
    itself is not shown, so a state is matched once before each network call.

    Args:
        model: the network.
        guide: the method, or ``None`` for an unguided sample.
        shape: (B, C, H, W).
        steps: see :func:`ilvr_latent.diffusion.schedule.chosen_timesteps`.
        sampler: a name in :data:`~.samplers.SAMPLERS`, or a sampler with its settings.
        eta: noise of DDIM, 0 to 1; no effect on the others.
        variance: of DDPM; ``None`` takes what the network has learned, else the fixed one that
            its configuration names.
        class_labels: int64 (B,), for class-conditional networks.
        clip_denoised: clamp the estimate of x_0 to [-1, 1] at every step.
        resampling: RePaint's jumps back to noisier levels; ``None`` is without.
        noise: where random numbers come from; a :class:`~.noise.JumpNoise` for jumps.
        start: a picture to begin from; ``None`` begins from pure noise.
        callback: called after every network call with its step and the new state.

    Returns:
        (B, C, H, W), not clamped; fp32, or float64 where the noise is.

    Raises:
        InputError: a setting is outside its range or does not fit the network or the guide.
    """
    config = model.config
    if isinstance(sampler, str):
        sampler = chosen_sampler(sampler, config, eta=eta, variance=variance)
    reverse = sampler.begin()
    whole = Schedule(config.noise_schedule, config.diffusion_steps, steps)
    schedule = whole if start is None else start.rest(whole)
    moves = walk(schedule, resampling, noise)
    hooks = frozenset(HOOKS) - (frozenset() if sampler.has_mean else {"mean"})
    run = Run(schedule, tuple(shape), model.device, noise, hooks)
    guided = begun(guide, run)

    network = GuidedNetwork(model, guided, class_labels, clip_denoised)
    transition_of = transitions(schedule)
    x = first_state(noise, shape, model.device)
    if start is not None:
        x = schedule.steps[0].noised(start.image.to(x), x)
    for move in moves:
        if isinstance(move, Jump):
            x = move(x)
            continue
        transition = transition_of[move.index]
        times = guided.repeats(move)
        for j in range(times):
            z = partial(_noise_of, noise, move, j, times, shape)
            produced = _taken(x, z, move, transition, reverse, network, guided)
            if callback is not None:
                callback(move, produced)
            if j < times - 1:
                x = _back(produced, move, transition, _repeating(noise), j)
        x = produced
    return guided.end(x)


def _taken(
    x_t: Tensor,
    z: Callable[[], Tensor],
    step: Step,
    transition: Transition,
    sampler: Sampler,
    network: GuidedNetwork,
    guided: GuideRun,
) -> Tensor:
    """One step with everything that a guide does in it: x_{t-1}."""
    x_t, x_0 = network(x_t, step, transition.a_bar)

    def mean(mu: Tensor, variance: Tensor | float) -> Tensor:
        return guided.mean(mu, variance, x_t, x_0, step)

    asked = mean if "mean" in guided.hooks else None
    # Drawn after what the guide draws: the order of the authors' code.
    return sampler.step(x_0, x_t, z().to(x_t), transition, network.learned, asked)


def _repeating(noise: NoiseSource) -> RepeatNoise:
    if not (hasattr(noise, "repeat_step") and hasattr(noise, "renoise")):
        raise InputError(
            "The noise source has none for steps that are taken again; give it methods "
            "repeat_step(i, j, shape) and renoise(i, j, shape), or set the recurrence to 1."
        )
    return cast(RepeatNoise, noise)


def _noise_of(noise: NoiseSource, step: Step, j: int, times: int, shape: Sequence[int]) -> Tensor:
    """z of the sampler."""
    if times == 1:
        return noise.step(step.call, shape)
    return _repeating(noise).repeat_step(step.call, j, shape)


def _back(x: Tensor, step: Step, transition: Transition, noise: RepeatNoise, j: int) -> Tensor:
    """The state that a step produced, noised again to the level that it started from."""
    eps = noise.renoise(step.call, j, x.shape).to(x)
    p, a = transition.a_bar_prev, transition.a_bar
    return renoised(x, (p**0.5, (1 - p) ** 0.5), (a**0.5, (1 - a) ** 0.5), eps)


def labels_for(
    config: DenoiserConfig, class_labels: int | Tensor | None, batch: int, device: torch.device
) -> Tensor | None:
    """Class labels as the network takes them, int64 (batch,), or ``None``.

    Raises:
        InputError: the network has no classes, needs one or has fewer, or there are too many.
    """
    classes = config.num_classes
    if class_labels is None:
        if classes is not None:
            raise InputError(
                f"This network is class-conditional: give a class label from 0 to {classes - 1}."
            )
        return None
    if classes is None:
        raise InputError(
            f"The class label is {class_labels}, but this network is unconditional: leave it out."
        )
    labels = torch.as_tensor(class_labels, dtype=torch.int64)
    if labels.numel() not in (1, batch):
        raise InputError(
            f"There are {labels.numel()} class labels for a batch of {batch}; give one, or one for "
            "each picture."
        )
    if bool(((labels < 0) | (labels >= classes)).any()):
        raise InputError(f"The class label is {class_labels}; use 0 to {classes - 1}.")
    return labels.expand(batch).to(device)
