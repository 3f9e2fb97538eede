"""One number in place of three: how similar a picture is to its reference, from 0 to 100.

    S     similarity    100 (1 - d / d_0), the mean of two networks that know nothing of each other
    d     perceptual distance of a result from its reference
    d_0   that of what the same model makes without a reference
    p     position      on one path of N, range and weight from free to held, 0 to 7

The path, along which S grows on every model:

    p 0 to 1    N is half of the side; the weight goes from 0 (free) to 1
    p 1 to 7    N is halved at each whole number, and from 6 on falls to a single cell
    p 3 to 7    the end of the range goes from 0.8 to 1; at 7 the result is the reference

Which position has which similarity is measured (``python -m benchmarks.similarity``) and stands in
``assets/similarity.json``, for each size of a cell of what is sampled.
"""

from __future__ import annotations

import json
import math
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
FIRST_END = 0.8
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
    halvings = min(max(position, WHOLE_WEIGHT), LAST_HALVING)
    share = 0.5**halvings * (LAST - max(position, LAST_HALVING)) / (LAST - LAST_HALVING)
    moved = max(0.0, position - END_MOVES) / (LAST - END_MOVES)
    # Cubed: a weight acts at every step anew, so that half of it is nearly all.
    weight = min(1.0, position / WHOLE_WEIGHT) ** 3
    return Dial(max(share, ONE_CELL), FIRST_END + (1 - FIRST_END) * moved, weight)


def dial(similarity: float, cell: int = 1) -> Dial:
    """N, range and weight for a similarity.

    >>> dial(0).weight, dial(100).end
    (0.0, 1.0)

    Args:
        similarity: 0 (the model is not guided at all) to 100 (the reference, as near as the model
            can have it).
        cell: pixels along a side of a cell of what is sampled: 1 of pixel models, 8, 16 or 32 of
            latent ones. Others are taken for the nearest of these.

    Raises:
        InputError: the similarity is outside its range, or the cell is below 1.
    """
    if not 0 <= similarity <= 100:
        raise InputError(f"The similarity is {similarity:g}; use a number from 0 to 100.")
    if cell < 1:
        raise InputError(f"A cell has {cell:g} pixels along a side; use at least 1.")
    return at_position(_position(similarity, nearest_cell(cell)))


def nearest_cell(cell: float) -> int:
    """That of the measured sizes which is nearest as a ratio, the smaller one of two."""
    return min(positions(), key=lambda known: (abs(math.log(known / cell)), known))


@lru_cache
def positions() -> dict[int, tuple[tuple[float, float], ...]]:
    """Of each size of a cell, similarities in ascending order with their positions on the path."""
    stored = json.loads(TABLE.read_text(encoding="utf-8"))["positions"]
    return {int(cell): tuple((s, p) for s, p in pairs) for cell, pairs in stored.items()}


def _position(similarity: float, cell: int) -> float:
    """Linear between the measured ones."""
    known = positions()[cell]
    after = next(i for i, (s, _) in enumerate(known) if s >= similarity)
    if known[after][0] == similarity:
        return known[after][1]
    (s, p), (s_next, p_next) = known[after - 1], known[after]
    return p + (p_next - p) * (similarity - s) / (s_next - s)
