"""What is measured of large pictures (B, 3, H, W) in [-1, 1].

    r      what the model added: the picture less the enlarged small one, which has no seam
    g_d    mean |difference of two neighbours| in r across a line that lies d pixels from a border

    seam = sum g_0 / sum of the mean g_d,   2 <= |d| <= 6        1 = none

Of r and not of the picture: its own edges, which lie at a border or beside it by chance, are mostly
in the small picture too. A decoder draws cell by cell, and N holds every so many pixels, so that
what has no seam need not have 1: the same is measured where no window ends, at other lines of that
grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.jackknife import standard_error
from ilvr_latent import LowPass, Tiles
from ilvr_latent.metrics.distribution import distances
from ilvr_latent.metrics.domain import Domain, pooled_features
from ilvr_latent.metrics.imagenet import ImageNetNetwork
from ilvr_latent.metrics.protocols import FeatureExtractor

NEAR = (2, 3, 4, 5, 6)


def borders(tiles: Tiles, shape: Sequence[int]) -> tuple[list[int], list[int]]:
    """Rows and columns at which a window begins or ends inside a picture (..., H, W)."""
    places = tiles.places(shape)
    rows, columns = (
        sorted({edge for place in places for edge in (place[axis].start, place[axis].stop)})
        for axis in (0, 1)
    )
    return rows[1:-1], columns[1:-1]


class Seam(NamedTuple):
    """1 = none.

    Attributes:
        here: at the borders.
        error: its standard error over pictures.
        elsewhere: at lines where no window begins or ends.
    """

    here: float
    error: float
    elsewhere: float


def seam(x: Tensor, large: Tensor, tiles: Tiles, grid: int) -> Seam:
    """1 = none.

    Args:
        x: what was drawn, at least two pictures.
        large: the enlarged small pictures.
        tiles: whose borders are looked at.
        grid: pixels between the lines that are looked at elsewhere.
    """
    added = x - large
    both = [_gradients(turned) for turned in (added.mT, added)]
    at = list(zip(both, borders(tiles, x.shape), strict=True))
    beside = [(g, _between(lines, g.shape[-1], grid)) for g, lines in at]
    error = standard_error(len(x), lambda kept: _ratio([(g[list(kept)], lines) for g, lines in at]))
    return Seam(_ratio(at), error, _ratio(beside))


def _gradients(x: Tensor) -> Tensor:
    """Of every picture, (B, W - 1): the k-th lies between the columns k and k + 1."""
    return x.diff(dim=-1).abs().mean((1, 2))


def _ratio(of_lines: Sequence[tuple[Tensor, Sequence[int]]]) -> float:
    at = near = 0.0
    for of_pictures, lines in of_lines:
        g = of_pictures.mean(0)
        for line in lines:
            at += float(g[line - 1])
            near += sum(float(g[line - 1 + d] + g[line - 1 - d]) for d in NEAR) / (2 * len(NEAR))
    return at / near


def _between(lines: Sequence[int], width: int, grid: int) -> list[int]:
    """Lines of the grid with nothing of a border, or of the picture's end, near them."""
    apart = max(NEAR) + 1
    return [
        place
        for place in range(grid, width, grid)
        if all(abs(place - line) >= apart for line in (0, *lines, width + 1))
    ]


def crops(x: Tensor, side: int) -> Tensor:
    """Of the size of a window, each half beside the next, (K B, 3, side, side)."""
    return torch.cat([x[..., rows, columns] for rows, columns in Tiles(side, side).places(x.shape)])


def kid_of_crops(x: Tensor, truth: Tensor, side: int, network: ImageNetNetwork) -> float:
    """Between windows of both; below 0 for the true pictures, which are the same ones."""
    own = pooled_features(network, crops(x, side))
    return distances(own, _of_truth(truth, side, network)).kid


@lru_cache(1)
def _of_truth(truth: Tensor, side: int, network: ImageNetNetwork) -> Tensor:
    return pooled_features(network, crops(truth, side))


def kid_of_wholes(x: Tensor, network: FeatureExtractor, domain: Domain) -> float:
    """Of the pictures at the size of the network, from the domain."""
    return distances(pooled_features(network, x), domain.features).kid


def fine_power(x: Tensor, truth: Tensor, scale: float) -> float:
    """The power of what a small picture cannot show, as a share of the true."""
    phi = LowPass(scale)
    mine, true = ((one - phi(one)).square().mean() for one in (x, truth))
    return float(mine / true)


def off_the_small(x: Tensor, large: Tensor, scale: float) -> float:
    """How far the low band is from the enlarged small picture's: mean |difference|, of 255."""
    return float(LowPass(scale)(x - large).abs().mean() * 127.5)
