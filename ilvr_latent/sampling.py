"""Sampling with ILVR (arXiv 2108.02938) in one call."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from .diffusion.denoiser import Denoiser
from .diffusion.noise import NoiseSource, ReferenceNoise, SeededNoise
from .diffusion.resampling import Resampling
from .diffusion.reverse import Variance
from .diffusion.sampling import Callback, labels_for, sample_with
from .diffusion.schedule import Schedule
from .errors import InputError
from .guides.ilvr import ILVR, Space
from .guides.reference import Reference
from .guides.window import Window


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
