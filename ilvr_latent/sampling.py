"""Sampling in pixel space over any denoiser, guided or not; ``reverse.py`` has the steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from .denoiser import Denoiser, DenoiserConfig
from .errors import InputError
from .guide import Guide
from .ilvr import ILVR, Space
from .methods.repaint import Jump, Resampling, walk
from .noise import NoiseSource, ReferenceNoise, SeededNoise
from .reference import Reference
from .reverse import Variance, ddim_step, ddpm_step, log_variance, predicted_x_0, transitions
from .schedule import Schedule, Step
from .window import Window

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
        steps: see :func:`ilvr_latent.schedule.respaced_timesteps`.
        sampler: ``ddpm`` or ``ddim``.
        eta: noise of DDIM, 0 to 1; no effect on DDPM.
        variance: of DDPM; ``None`` takes what the network has learned, else the fixed one that
            its configuration names.
        class_labels: int64 (B,), for class-conditional networks.
        clip_denoised: clamp the estimate of x_0 to [-1, 1] at every step.
        resampling: RePaint's jumps back to noisier levels; ``None`` is without.
        noise: where random numbers come from; a :class:`~ilvr_latent.noise.JumpNoise` for jumps.
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


def sample(
    model: Denoiser,
    references: Reference | Sequence[Reference] | None,
    *,
    shape: Sequence[int] | None = None,
    steps: str | int = "100",
    sampler: Literal["ddpm", "ddim"] = "ddpm",
    eta: float = 1.0,
    space: Space = "state",
    reference_noise: ReferenceNoise = "fresh",
    variance: Variance | None = None,
    class_labels: int | Tensor | None = None,
    clip_denoised: bool = True,
    compat: Literal["ilvr_adm"] | None = None,
    range_t: int | None = None,
    resampling: Resampling | None = None,
    noise: NoiseSource | None = None,
    seed: int | Sequence[int] = 0,
    callback: Callback | None = None,
) -> Tensor:
    """Sample with ILVR (arXiv 2108.02938, Algorithm 1).

    Args:
        model: the network, usually from :func:`ilvr_latent.load_adm`.
        references: what to match; ``None`` or empty samples without a reference.
        shape: (B, C, H, W); by default that of the first reference, else one image of the
            network's size.
        steps: ``"100"``, ``"ddim50"``, ``"10,10,5"``, or a number.
        sampler: ``ddpm`` (the paper) or ``ddim``.
        eta: noise of DDIM, 0 to 1.
        space: match the ``state`` (the paper) or the ``prediction``.
        reference_noise: ``fresh`` (the paper), ``fixed`` or ``hybrid``.
        variance: of DDPM; ``None`` takes what the network has learned, else the fixed one that
            its configuration names.
        class_labels: one class for all, or int64 (B,).
        clip_denoised: clamp the estimate of x_0 to [-1, 1] at every step.
        compat: ``"ilvr_adm"`` repeats the authors' code: the reference is noised one level too
            high, and a step is matched while its respaced index is above ``range_t``.
        range_t: for ``compat`` only; takes the place of the references' windows.
        resampling: RePaint's jumps back to noisier levels, for references with a mask.
        noise: a noise source; by default one from ``seed``.
        seed: one seed for the batch, or one for each image.
        callback: called after every network call with its step and the new state.

    Returns:
        (B, C, H, W) fp32, about [-1, 1] (not clamped).

    Raises:
        InputError: a setting is outside its range or does not fit the network.
    """
    chosen = [references] if isinstance(references, Reference) else list(references or [])
    config = model.config
    if shape is None:
        size = (1, config.image_channels, config.image_size, config.image_size)
        shape = tuple(chosen[0].image.shape) if chosen else size
    if compat not in (None, "ilvr_adm"):
        raise InputError(f"compat is {compat!r}; use None or 'ilvr_adm'.")
    if range_t is not None and compat is None:
        raise InputError(
            "range_t belongs to compat='ilvr_adm'; give the reference a Window instead."
        )
    if compat is not None:
        schedule = Schedule(config.noise_schedule, config.diffusion_steps, steps)
        window = authors_window(schedule, range_t)
        chosen = [dataclasses.replace(reference, window=window) for reference in chosen]
    guide = None
    if chosen:
        guide = ILVR(
            chosen,
            space=space,
            reference_noise=reference_noise,
            noise_level="produced" if compat is None else "current",
        )
    return sample_with(
        model,
        guide,
        shape=shape,
        steps=steps,
        sampler=sampler,
        eta=eta,
        variance=variance,
        class_labels=labels_for(config, class_labels, shape[0], model.device),
        clip_denoised=clip_denoised,
        resampling=resampling,
        noise=noise if noise is not None else SeededNoise(seed, model.device),
        callback=callback,
    )


def authors_window(schedule: Schedule, range_t: int | None) -> Window:
    """The steps whose respaced index (0 = the last step) is above ``range_t``.

    Raises:
        InputError: no step is.
    """
    highest = len(schedule) - 2
    range_t = 0 if range_t is None else range_t
    if not 0 <= range_t <= highest:
        raise InputError(
            f"range_t is {range_t}, but with {len(schedule)} steps it must be from 0 to {highest} "
            "for any step to be matched."
        )
    return Window.steps(0, highest - range_t)


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
