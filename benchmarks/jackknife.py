"""How far a measure of a set of pictures would be elsewhere with other pictures of their kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def standard_error(count: int, measure: Callable[[Sequence[int]], float]) -> float:
    """The jackknife's: of the measure of all pictures, by those that leave one of them out.

    Args:
        count: pictures, at least 2.
        measure: of the pictures with these numbers, 0 to ``count`` - 1.
    """
    others = [measure([*range(k), *range(k + 1, count)]) for k in range(count)]
    middle = sum(others) / count
    return math.sqrt((count - 1) / count * sum((one - middle) ** 2 for one in others))
