"""How far a measure of a set of pictures would be elsewhere with other pictures of their kind.

theta_(r)   the measure without picture r
se          delete-one jackknife: se^2 = (R - 1) / R sum_r (theta_(r) - mean theta_(.))^2
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def standard_error(count: int, measure: Callable[[Sequence[int]], float]) -> float:
    """Of the measure of all pictures.

    Args:
        count: pictures, at least 2.
        measure: of the pictures with these numbers, 0 to ``count`` - 1.
    """
    return error_of([measure([*range(k), *range(k + 1, count)]) for k in range(count)])


def error_of(without: Sequence[float]) -> float:
    """The same from all theta_(r), at least 2."""
    count = len(without)
    mean = sum(without) / count
    return math.sqrt((count - 1) / count * sum((value - mean) ** 2 for value in without))
