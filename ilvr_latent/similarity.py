"""One number in place of three: how similar a picture is to its reference, from 0 to 100.

    S     similarity    100 (1 - d / d_0), the mean of two networks that know nothing of each other
    d     perceptual distance of a result from its reference
    d_0   that of what the same model makes without a reference
    p     position      on one path of N, range and weight from free to held, 0 to 7

The path, along which S grows on every model:

    p 0 to 1    N is 2/5 of the side; the weight goes from 0 (free) to 1
    p 1 to 7    N is halved by each whole number, and from 6 on falls to a single cell
    p 3 to 7    the end of the range goes from 0.8 to 1; at 7 the result is the reference

Which position has which similarity is measured (``python -m benchmarks.similarity``) and stands in
``assets/similarity.json``, for each size of a cell of what is sampled. It depends on the model, and
on how many cells the side has: where there are few, N is soon a single cell, which holds all that
is in it. So at another side than was measured, what models of that side have is blended in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor

from .errors import InputError
from .guides.reference import Reference
from .guides.window import Window
from .shipped import ASSETS

TABLE = ASSETS / "similarity.json"
LAST = 7.0
# Up to here the weight rises; from here the end of the range moves; from here N goes to one cell.
WHOLE_WEIGHT, END_MOVES, LAST_HALVING = 1.0, 3.0, 6.0
# phi has a whole number of cells along the side. At 1/2 these are two, and right below it three,
# which is a leap of nine similarities: with 2/5, three from the beginning, the weight crosses it.
FIRST_SHARE, FIRST_END = 0.4, 0.8
# So many doublings of the side away, nothing of a model's own is left.
OF_ITS_OWN = 2.0
# A share is above 0; of any picture this one is less than a cell.
ONE_CELL = 1e-6


@dataclass(frozen=True)
class Dial:
    """What a similarity stands for.

    Attributes:
        share: N, as a share of the shorter side of what is sampled; never less than one cell.
        end: of the conditioning range, which begins with the noise: 0 to 1.
        weight: 0 to 1.
    """

    share: float
    end: float
    weight: float

    def factor(self, side: int) -> float:
        """N, in cells of what is sampled.

        Args:
            side: the shorter one, in cells.
        """
        return max(1.0, self.share * side)

    def reference(self, image: Tensor, **settings: Any) -> Reference:
        """A picture or latent, followed so.

        Args:
            image: (B, C, H, W) in [-1, 1], or a latent.
            **settings: the others of :class:`Reference`, such as ``mask``; ``gate`` is the
                window's.
        """
        window = Window(0.0, self.end, gate=settings.pop("gate", "producing"))
        weight = self.weight
        return Reference(
            image, self.share, factor_unit="share", window=window, weight=weight, **settings
        )


def at_position(position: float) -> Dial:
    """The settings at a point of the path.

    Args:
        position: 0 to 7.
    """
    halvings = min(max(position, WHOLE_WEIGHT), LAST_HALVING) - WHOLE_WEIGHT
    left = (LAST - max(position, LAST_HALVING)) / (LAST - LAST_HALVING)
    share = FIRST_SHARE * 0.5**halvings * left
    moved = max(0.0, position - END_MOVES) / (LAST - END_MOVES)
    # Cubed: a weight acts at every step anew, so that half of it is nearly all.
    weight = min(1.0, position / WHOLE_WEIGHT) ** 3
    return Dial(max(share, ONE_CELL), FIRST_END + (1 - FIRST_END) * moved, weight)


def dial(similarity: float, cell: int = 1, side: int | None = None) -> Dial:
    """N, range and weight for a similarity.

    >>> dial(0).weight, dial(100).end
    (0.0, 1.0)

    Args:
        similarity: 0 (the model is not guided at all) to 100 (the reference, as near as the model
            can have it).
        cell: pixels along a side of a cell of what is sampled: 1 of pixel models, 8, 16 or 32 of
            latent ones. Others are taken for the nearest of these.
        side: the shorter side of what is sampled, in cells; by default that of the measured model.

    Raises:
        InputError: the similarity is outside its range, or the cell or the side is below 1.
    """
    if not 0 <= similarity <= 100:
        raise InputError(f"The similarity is {similarity:g}; use a number from 0 to 100.")
    if cell < 1:
        raise InputError(f"A cell has {cell:g} pixels along a side; use at least 1.")
    if side is not None and side < 1:
        raise InputError(f"The side has {side:g} cells; use at least 1.")
    own = measured()[nearest_cell(cell)]
    position = own.position(similarity)
    if side is None:
        return at_position(position)
    away = min(1.0, abs(math.log2(side / own.side)) / OF_ITS_OWN)
    return at_position(position + away * (_usual(similarity, side) - position))


@dataclass(frozen=True)
class Measured:
    """What was measured of a model.

    Attributes:
        side: of what it samples, in cells.
        positions: similarities in ascending order, with their positions on the path.
    """

    side: int
    positions: tuple[tuple[float, float], ...]

    def position(self, similarity: float) -> float:
        """Linear between those that were measured."""
        return _between(self.positions, similarity)


@lru_cache
def measured() -> dict[int, Measured]:
    """Of each size of a cell."""
    stored = json.loads(TABLE.read_text(encoding="utf-8"))
    return {
        int(cell): Measured(one["side"], tuple((s, p) for s, p in one["positions"]))
        for cell, one in stored.items()
    }


def nearest_cell(cell: float) -> int:
    """That of the measured sizes which is nearest as a ratio, the smaller one of two."""
    return min(measured(), key=lambda known: (abs(math.log(known / cell)), known))


def _usual(similarity: float, side: int) -> float:
    """The position at a side of so many cells, on whatever model.

    The mean over the models of that side, linear in its logarithm; beyond the measured sides as at
    the last one.
    """
    of_sides: dict[float, list[float]] = {}
    for one in sorted(measured().values(), key=lambda one: one.side):
        of_sides.setdefault(math.log(one.side), []).append(one.position(similarity))
    means = [(side, sum(positions) / len(positions)) for side, positions in of_sides.items()]
    return _between(means, math.log(side))


def _between(points: Sequence[tuple[float, float]], x: float) -> float:
    """Linear between points of ascending x, and constant beyond them."""
    after = next((i for i, point in enumerate(points) if point[0] >= x), len(points) - 1)
    if after == 0 or points[after][0] <= x:
        return points[after][1]
    (a, y), (b, z) = points[after - 1], points[after]
    return y + (z - y) * (x - a) / (b - a)
