"""Two functions timed in turn, so that a drifting machine cancels out of their ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Comparison:
    """Median seconds of both, and the median of the ratios pair by pair."""

    ours: float
    theirs: float
    ratio: float


Clock = Callable[[], float]


def seconds(
    function: Callable[[], object], repeats: int, clock: Clock = time.perf_counter
) -> float:
    """Mean seconds of one call."""
    start = clock()
    for _ in range(repeats):
        function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (clock() - start) / repeats


def compare(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    pairs: int = 7,
    budget: float = 0.2,
    clock: Clock = time.perf_counter,
) -> Comparison:
    """Time two functions in pairs.

    Args:
        ours: the one whose speed is asked for.
        theirs: what it is compared with.
        pairs: how many pairs count; one more warms up.
        budget: seconds that one measurement of either should take, where calls are short.
        clock: of the wall, or ``time.process_time``: seconds of the processor, whoever else has it.

    Returns:
        Medians; the ratio is theirs / ours, above 1 where ours is faster.
    """
    repeats = [max(1, int(budget / max(seconds(f, 1), 1e-6))) for f in (ours, theirs)]
    a, b = [], []
    for _ in range(pairs):
        a.append(seconds(ours, repeats[0], clock))
        b.append(seconds(theirs, repeats[1], clock))
    ratio = statistics.median(y / x for x, y in zip(a, b, strict=True))
    return Comparison(statistics.median(a), statistics.median(b), ratio)
