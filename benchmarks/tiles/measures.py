"""What is measured of large pictures (B, 3, H, W) in [-1, 1].

    r      what the model added: the picture less the enlarged small one, which has no seam
    g_d    mean |difference of two neighbours| in r across a line that lies d pixels from a border

    seam = sum g_0 / sum of the mean g_d,   2 <= |d| <= 6        1 = none

Of r and not of the picture: its own edges, which lie at a border or beside it by chance, are mostly
in the small picture too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

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


def seam(x: Tensor, large: Tensor, tiles: Tiles) -> float:
    """1 = none.

    Args:
        x: what was drawn.
        large: the enlarged small pictures.
        tiles: whose borders are looked at.
    """
    at = near = 0.0
    rows, columns = borders(tiles, x.shape)
    added = x - large
    for lines, turned in ((columns, added), (rows, added.mT)):
        # g[k] lies between k and k + 1.
        g = turned.diff(dim=-1).abs().mean((0, 1, 2))
        for line in lines:
            at += float(g[line - 1])
            near += sum(float(g[line - 1 + d] + g[line - 1 - d]) for d in NEAR) / (2 * len(NEAR))
    return at / near


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
