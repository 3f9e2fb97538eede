"""Sampling in pixel space over any denoiser, guided or not; ``reverse.py`` has the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError
from .denoiser import Denoiser, DenoiserConfig
from .guide import Guide
from .noise import NoiseSource
from .resampling import Jump, Resampling, walk
from .reverse import Variance, ddim_step, ddpm_step, log_variance, predicted_x_0, transitions
from .schedule import Schedule, Step

Callback = Callable[[Step, Tensor], None]


@torch.no_grad()
def sample_with(
    model: Denoiser,
    guide: Guide | None,
    *,
    shape: Sequence[int],
    steps: str | int = "100",
    sampler: Literal["ddpm", "ddim"] = "ddpm",
    eta: float = 1.0,
    variance: Variance | None = None,
    class_labels: Tensor | None = None,
    clip_denoised: bool = True,
    resampling: Resampling | None = None,
    noise: NoiseSource,
    callback: Callback | None = None,
) -> Tensor:
    """Sample with any method of guidance; :func:`sample` is this with ILVR.

    A run that goes back shows the guide every step as often as it is taken, in that order; a jump
    itself is not shown, so a state is matched once before each network call.

    Args:
        model: the network.
        guide: the method, or ``None`` for an unguided sample.
        shape: (B, C, H, W).
        steps: see :func:`ilvr_latent.diffusion.schedule.respaced_timesteps`.
        sampler: ``ddpm`` or ``ddim``.
        eta: noise of DDIM, 0 to 1; no effect on DDPM.
        variance: of DDPM; ``None`` takes what the network has learned, else the fixed one that
            its configuration names.
        class_labels: int64 (B,), for class-conditional networks.
        clip_denoised: clamp the estimate of x_0 to [-1, 1] at every step.
        resampling: RePaint's jumps back to noisier levels; ``None`` is without.
        noise: where random numbers come from; a :class:`~.noise.JumpNoise` for jumps.
        callback: called after every network call with its step and the new state.

    Returns:
        (B, C, H, W) fp32, not clamped.

    Raises:
        InputError: a setting is outside its range or does not fit the network.
    """
    config = model.config
    variance = checked_variance(config, variance)
    check_sampler(sampler, eta)
    schedule = Schedule(config.noise_schedule, config.diffusion_steps, steps)
    moves = walk(schedule, resampling, noise)
    run = guide.begin(schedule, shape, model.device, noise) if guide is not None else None

    x = noise.initial(shape).to(model.device, torch.float32)
    transition_of = transitions(schedule)
    for move in moves:
        if isinstance(move, Jump):
            x = move(x)
            continue
        step = move
        transition = transition_of[step.index]
        if run is not None:
            x = run.state(x, step)
        t = torch.full((shape[0],), step.t, dtype=torch.int64, device=x.device)
        output = model(x, t, class_labels)
        learned = None
        if config.learn_sigma:
            output, learned = output.chunk(2, dim=1)
        x_0 = predicted_x_0(output, x, transition.a_bar, config.prediction_type)
        if clip_denoised:
            x_0 = x_0.clamp(-1, 1)
        if run is not None:
            x_0 = run.prediction(x_0, x, step)
        z = noise.step(step.call, shape).to(x)
        if sampler == "ddim":
            x = ddim_step(x_0, x, z, transition, eta)
        else:
            x = ddpm_step(x_0, x, z, transition, log_variance(transition, variance, learned))
        if callback is not None:
            callback(step, x)
    return run.end(x) if run is not None else x


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


def check_sampler(sampler: str, eta: float) -> None:
    """Refuse an unknown sampler, and noise that there is none of.

    Raises:
        InputError: the sampler is unknown or eta outside [0, 1].
    """
    if sampler not in ("ddpm", "ddim"):
        raise InputError(f"The sampler is {sampler!r}; use 'ddpm' or 'ddim'.")
    if not 0 <= eta <= 1:
        raise InputError(f"eta is {eta}; use a number from 0 (no noise) to 1 (as DDPM).")


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
