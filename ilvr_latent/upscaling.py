"""A picture drawn again, larger, under the low frequencies of the small one.

    y_0   the small picture, enlarged by s             N    native N times s
    w     weight, which falls over the range (a cosine)
    e'    the network in overlapping windows of its own size (:mod:`.diffusion.tiles`)

The large picture begins as y_0 with noise (SDEdit, arXiv 2108.01073), and is matched with y_0 as a
whole (ILVR, arXiv 2108.02938), so each window follows its own part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from . import defaults
from .defaults import ReferenceNoise, SamplerName
from .diffusion.denoiser import Denoiser
from .diffusion.loop import Start, sample_with
from .diffusion.noise import NoiseSource, SeededNoise
from .diffusion.schedule import Schedule
from .diffusion.tiles import TiledDenoiser, Tiles
from .errors import InputError
from .guides.ilvr import ILVR
from .guides.lowpass import low_pass_matrices
from .guides.reference import Reference
from .guides.weight import Weight, WeightSchedule
from .guides.window import Window

FACTOR, DENOISE, END, END_WEIGHT, OVERLAP = 1.0, 0.75, 1.0, 0.5, 0.5
# A cell of a latent shows more than its mean: held more closely, detail is nearer to the true one
# (docs/tiles.md).
FACTOR_OF_LATENTS = 0.625
LARGEST = 16.0


def upscaled_side(side: int, scale: float, cell: int = 1) -> int:
    """A side of the large picture, a whole number of cells.

    Raises:
        InputError: the scale cannot be used, or nothing is left of the side.
    """
    if not 1 <= scale <= LARGEST:
        raise InputError(f"The scale is {scale:g}; use a number from 1 to {LARGEST:g}.")
    large = round(side * scale / cell) * cell
    if large < 1:
        raise InputError(
            f"The picture's side is {side} pixels, less than a cell of the model's latent, {cell}; "
            "use a larger one."
        )
    return large


def enlarged(x: Tensor, sides: Sequence[int]) -> Tensor:
    """Pictures at a larger size, by U of phi: the cubic kernel over mirrored edges.

    Args:
        x: (..., h, w).
        sides: H and W, at least h and w.

    Returns:
        (..., H, W); the kernel overshoots, so values may leave the range by a little.
    """
    up_h, up_w = (_up(own, side).to(x) for own, side in zip(x.shape[-2:], sides, strict=True))
    return up_h @ x @ up_w.T


def _up(own: int, side: int) -> Tensor:
    return low_pass_matrices(side, side / own, "cubic")[1]


def upscaling_reference(
    small: Tensor,
    scale: float,
    *,
    factor: float = FACTOR,
    weight: Weight | None = None,
    end: float = END,
    noise: ReferenceNoise | None = None,
) -> Reference:
    """What a large picture is held to.

    Args:
        small: (B, C, h, w).
        scale: how many times as wide and high the large picture is.
        factor: N of the small picture: detail that is finer is left to the model.
        weight: by default :func:`falling`.
        end: of the range, as a share of the forward process.
        noise: of the reference; ``None`` is the driver's.

    Raises:
        InputError: a number cannot be used.
    """
    if not factor > 0:
        raise InputError(f"The factor is {factor:g}; use a number above 0, such as 1.")
    sides = [upscaled_side(side, scale) for side in small.shape[-2:]]
    return Reference(
        enlarged(small, sides).clamp(-1, 1),
        max(1.0, factor * scale),
        window=Window(0.0, end),
        weight=falling() if weight is None else weight,
        noise=noise,
    )


def falling(weight: float = 1.0, end_weight: float = END_WEIGHT) -> WeightSchedule:
    """From one weight to a lower one, slowly at both ends."""
    return WeightSchedule.ramp(weight, end_weight, "cosine")


def upscale(
    model: Denoiser,
    small: Tensor,
    scale: float,
    *,
    factor: float = FACTOR,
    weight: Weight | None = None,
    end: float = END,
    denoise: float = DENOISE,
    overlap: float = OVERLAP,
    batch: int = 16,
    steps: str | int = defaults.COMMAND_STEPS,
    sampler: SamplerName | None = None,
    eta: float | None = None,
    noise: NoiseSource | None = None,
    seed: int | Sequence[int] = 0,
    **settings: Any,
) -> Tensor:
    """Draw pictures again, larger.

    Args:
        model: the network.
        small: (B, C, h, w) in [-1, 1], at the size that the network draws at its best.
        scale: 2 for twice as wide and high.
        factor: see :func:`upscaling_reference`; so are ``weight`` and ``end``.
        denoise: the share of the steps that are taken, from 0 (none) to 1 (from pure noise).
        overlap: see :class:`.diffusion.tiles.Tiles`.
        batch: windows that the network is given at once.
        steps: of the whole schedule.
        sampler: by default the paper's, and DDIM for few steps.
        eta: of DDIM, likewise.
        noise: a noise source; by default one from ``seed``.
        seed: one for each picture, or a single one: picture k then has seed + k.
        **settings: of :func:`.diffusion.loop.sample_with`, such as ``class_labels``.

    Returns:
        (B, C, H, W), about [-1, 1].

    Raises:
        InputError: a number cannot be used.
    """
    tiles = Tiles(small.shape[-2], small.shape[-1], overlap)
    schedule = Schedule(model.config.noise_schedule, model.config.diffusion_steps, steps)
    first = first_step(len(schedule), denoise)
    name, eta, kind = defaults.by_number_of_steps(len(schedule), sampler=sampler, eta=eta)
    reference = upscaling_reference(
        small.to(model.device), scale, factor=factor, weight=weight, end=end, noise=kind
    )
    return sample_with(
        TiledDenoiser(model, tiles, batch),
        ILVR(reference),
        shape=reference.image.shape,
        steps=steps,
        sampler=name,
        eta=eta,
        noise=noise if noise is not None else SeededNoise(seed, model.device),
        start=Start(reference.image, first) if first else None,
        **settings,
    )


def first_step(steps: int, denoise: float) -> int:
    """Of so many, the one that the large picture begins with; 0: it begins from pure noise.

    Raises:
        InputError: none would be taken, or more than there are.
    """
    if not 0 < denoise <= 1:
        raise InputError(f"denoise is {denoise:g}; use a number above 0, up to 1 (from noise).")
    return steps - max(1, math.ceil(steps * denoise))
