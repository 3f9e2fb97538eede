"""Rounds of img2img and continuations of an inpainting, with what holds colours and without.

y   the picture that the work begins with       N   a quarter of its side: 4 by 4 places
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ilvr_latent import ILVR, Guide, Guides, Reference, match_picture
from ilvr_latent.guides.picture_space import PictureILVR

from .models import Model

SHARE = 0.25
ROUNDS, DENOISE = 10, 0.4
CONTINUATIONS = 8


@dataclass(frozen=True)
class Way:
    """Something that holds colours.

    Attributes:
        name: as the table has it.
        guide: made of a model and of y, for every step or some; ``None`` leaves the sampler alone.
        finish: of a decoded picture, y, the picture before it, and what of that was kept (1, 1, H,
            W; 0 in img2img).
    """

    name: str
    guide: Callable[[Model, Tensor], Guide] | None = None
    finish: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None = None


def _lock(model: Model, y: Tensor) -> Guide:
    latent = model.encode(y)
    return ILVR(Reference(latent, SHARE, factor_unit="share", space="prediction"))


def _last_in_pictures(model: Model, y: Tensor) -> Guide:
    return PictureILVR(y, SHARE, model.decode, model.encode, factor_unit="share", times=1)


def _matched(p: Tensor, y: Tensor, before: Tensor, kept: Tensor) -> Tensor:
    return match_picture(p, y, SHARE, factor_unit="share")


def _matched_at_half(p: Tensor, y: Tensor, before: Tensor, kept: Tensor) -> Tensor:
    return match_picture(p, y, 2 * SHARE, factor_unit="share")


def _spread(p: Tensor, y: Tensor, before: Tensor, kept: Tensor) -> Tensor:
    return match_picture(p, before, SHARE, factor_unit="share", mask=kept, beyond="spread")


def _pasted(p: Tensor, y: Tensor, before: Tensor, kept: Tensor) -> Tensor:
    return p + kept * (before - p)


STOCK = Way("stock")
WAYS = (
    STOCK,
    Way("colour lock in the latent, every step", _lock),
    Way("matched in pictures, the last step", _last_in_pictures),
    Way("match_picture after decoding", None, _matched),
    Way("colour lock and match_picture", _lock, _matched),
    Way("colour lock and match_picture at half the side", _lock, _matched_at_half),
)
OF_INPAINTING = (
    *WAYS,
    Way("kept pixels pasted back", None, _pasted),
    Way("match_picture to what was kept, spread", None, _spread),
)


@dataclass(frozen=True)
class Outcome:
    """Of one way: the pictures, y first, and the seconds of the processor that a round took."""

    pictures: list[Tensor]
    seconds: float


def img2img(model: Model, y: Tensor, way: Way) -> Outcome:
    """Each round redraws the picture that the one before left."""
    nothing = torch.zeros(1, 1, *y.shape[-2:])

    def one(k: int, picture: Tensor) -> tuple[Tensor, Tensor]:
        guide = None if way.guide is None else way.guide(model, y)
        return model.redraw(picture, DENOISE, guide, 100 + k), nothing

    return _carried(model, y, way, one, ROUNDS)


def inpainting(model: Model, y: Tensor, way: Way) -> Outcome:
    """Each continuation invents another quadrant anew, from noise; the rest is given by N = 1."""
    holes = _holes(y.shape[-1])

    def one(k: int, picture: Tensor) -> tuple[Tensor, Tensor]:
        kept, latent = next(holes), model.encode(picture)
        cells = torch.nn.functional.interpolate(kept, latent.shape[-2:], mode="area")
        guides: list[Guide] = [] if way.guide is None else [way.guide(model, y)]
        known = ILVR(Reference(latent, 1.0, mask=cells))
        return model.redraw(picture, 1.0, Guides(known, *guides), 100 + k), kept

    return _carried(model, y, way, one, CONTINUATIONS)


def _carried(
    model: Model,
    y: Tensor,
    way: Way,
    one: Callable[[int, Tensor], tuple[Tensor, Tensor]],
    times: int,
) -> Outcome:
    pictures, begun = [y], time.process_time()
    for k in range(times):
        latent, kept = one(k, pictures[-1])
        p = model.decode(latent).clamp(-1, 1)
        pictures.append(p if way.finish is None else way.finish(p, y, pictures[-1], kept))
    return Outcome(pictures, (time.process_time() - begun) / times)


def _holes(side: int) -> Iterator[Tensor]:
    """1 where the picture is kept: all but one quadrant, round and round."""
    half = side // 2
    while True:
        for top, left in ((0, 0), (0, half), (half, half), (half, 0)):
            kept = torch.ones(1, 1, side, side)
            kept[..., top : top + half, left : left + half] = 0
            yield kept
