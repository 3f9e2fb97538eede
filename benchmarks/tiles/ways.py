"""What is compared: tiles by themselves, windows that are blended, and what holds them to y.

    y_0   the small picture, enlarged        x_t   state        c   cos^2 of half the way, cubed

DemoFusion (arXiv 2311.16973), eq. 4, blends whole latents: x_t <- c y_t + (1 - c) x_t, with one
noise in y_t. Its dilated sampling is not part of the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ilvr_latent import (
    ILVR,
    Guide,
    GuideRun,
    Reference,
    Run,
    SeededNoise,
    TiledDenoiser,
    Tiles,
)
from ilvr_latent.defaults import NOISE_OF_OTHER_SAMPLERS
from ilvr_latent.diffusion import Start, Step, sample_with
from ilvr_latent.upscaling import END_WEIGHT, FACTOR, enlarged, falling

from .models import Model

STEPS = 12
GuideOf = Callable[[Tensor, float], Guide]
"""Of y_0 as a state, and of N."""


@dataclass(frozen=True)
class Way:
    """One way to draw a large picture.

    Attributes:
        name: as the table has it.
        overlap: of windows.
        guide: of the whole; ``None`` leaves it free.
        of_tiles: tile by tile, each a run of its own, of which it is given the part of y_0, and
            the small picture.
        factor: N, in cells of the small picture; ``None`` is the case's.
    """

    name: str
    overlap: float = 0.5
    guide: GuideOf | None = None
    of_tiles: Callable[[Tensor, Tensor, float], Guide] | None = None
    factor: float | None = None


def held(end_weight: float = END_WEIGHT) -> GuideOf:
    """ILVR with a weight that falls; the noise is that of few steps without noise."""

    def guide(y_0: Tensor, n: float) -> Guide:
        weight = falling(1.0, end_weight)
        return ILVR(Reference(y_0, n, weight=weight, noise=NOISE_OF_OTHER_SAMPLERS))

    return guide


def _the_whole(part: Tensor, small: Tensor, n: float) -> Guide:
    return held()(small, n)


def _its_part(part: Tensor, small: Tensor, n: float) -> Guide:
    return held()(part, n)


def _skip(y_0: Tensor, n: float) -> Guide:
    return SkipResidual(y_0)


PLAIN = Way("plain tiling", overlap=0.0)
THE_WHOLE = Way("plain tiling, every tile follows the whole", 0.0, of_tiles=_the_whole)
ITS_PART = Way("plain tiling, each its own part", 0.0, of_tiles=_its_part)
WINDOWS = Way("windows (MultiDiffusion)")
BLENDED = Way("windows, whole latents blended (DemoFusion)", guide=_skip)
HELD = Way("windows under the low band (ILVR)", guide=held())
FALLING = Way("the same, the weight falls to 0", guide=held(0.0))
STAYING = Way("the same, the weight stays 1", guide=held(1.0))


def of_cells(share: float) -> Way:
    """ILVR with another N, in cells of the small picture."""
    return Way(f"the same, N of {share:g} small cells", guide=held(), factor=share)


class SkipResidual:
    """A guide that blends whole states with those of a reference.

    Args:
        y_0: (B, C, H, W).
        power: of c.
    """

    def __init__(self, y_0: Tensor, power: float = 3.0) -> None:
        self.y_0, self.power = y_0, power

    def begin(self, run: Run) -> GuideRun:
        """With a noise that stays."""
        return _Skipping(self, run.noise.reference(0, run.shape))


class _Skipping(GuideRun):
    def __init__(self, guide: SkipResidual, eps: Tensor) -> None:
        self._guide, self._eps = guide, eps

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        c: float = ((1 + math.cos(math.pi * step.fraction)) / 2) ** self._guide.power
        y_t = step.noised(self._guide.y_0, self._eps)
        return c * y_t + (1 - c) * x_t


def drawn(
    model: Model, small: Tensor, scale: int, way: Way, denoise: float, factor: float = FACTOR
) -> Tensor:
    """Large pictures (B, 3, H, W), all with the same noise whatever the way.

    Args:
        model: whose windows they are drawn in.
        small: (B, 3, h, w).
        scale: how many times as wide and high.
        way: what is compared.
        denoise: the share of the steps that are taken.
        factor: N, in cells of the small picture.
    """
    large = enlarged(small, [side * scale for side in small.shape[-2:]]).clamp(-1, 1)
    start, before = model.encode(large), model.encode(small)
    tiles = Tiles(before.shape[-2], before.shape[-1], way.overlap)
    n = (factor if way.factor is None else way.factor) * scale
    if way.of_tiles is None:
        guide = None if way.guide is None else way.guide(start, n)
        return model.decode(_sampled(model, start, tiles, guide, denoise))
    made = torch.empty_like(start)
    for rows, columns in tiles.places(start.shape):
        part = start[..., rows, columns]
        guide = way.of_tiles(part, before, n)
        made[..., rows, columns] = _sampled(model, part, tiles, guide, denoise)
    return model.decode(made)


def _sampled(
    model: Model, start: Tensor, tiles: Tiles, guide: Guide | None, denoise: float
) -> Tensor:
    return sample_with(
        TiledDenoiser(model.denoiser, tiles),
        guide,
        shape=start.shape,
        steps=STEPS,
        sampler="ddim",
        eta=0.0,
        clip_denoised=model.clip,
        class_labels=torch.arange(len(start)),
        noise=SeededNoise(0),
        start=Start(start, round(STEPS * (1 - denoise))),
    )
