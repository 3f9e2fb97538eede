"""The Runge-Kutta pair of Dormand and Prince (1980), order 5 with an error of order 4.

scipy's RK45 is the same pair, but takes every state to the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import InputError

# Butcher's table: stage k is at t + C_k h, at x + h sum_j A_kj slope_j. The last row is the result,
# whose slope is the first of the next step.
C = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
A: tuple[tuple[float, ...], ...] = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
# The result less that of order 4.
E = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)

SAFETY, LEAST, MOST = 0.9, 0.2, 10.0
SMALLEST_SHARE = 1e-10


Slope = Callable[[Tensor, float, int], Tensor]
"""dx/dt = f(x, t), in an interval of the grid, from 0."""


def check_tolerance(tolerance: float | None) -> None:
    """Refuse an error that no step can keep to.

    Raises:
        InputError: it is a number that is not above 0.
    """
    if tolerance is not None and not tolerance > 0:
        raise InputError(f"The tolerance is {tolerance}; use a number above 0, such as 1e-5.")


def integrate(
    slope: Slope,
    x: Tensor,
    grid: Sequence[float],
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> Iterator[Tensor]:
    """Follow dx/dt through the times of a grid.

    Args:
        slope: f(x, t).
        x: the state at the first time, (B, ...).
        grid: times, rising or falling.
        rtol: relative error of a step, the mean over a picture. All pictures then take the steps
            that the worst of them needs. ``None`` takes one step for each interval, whatever the
            error: no picture depends on the others.
        atol: absolute error; by default ``rtol``.

    Yields:
        The state at each further time.

    Raises:
        InputError: no step is small enough for the error.
    """
    share = 1.0
    for i, (t, end) in enumerate(pairwise(grid)):
        if rtol is None:
            x = _result(x, end - t, _slopes(slope, x, t, end - t, i))
        else:
            bounds = rtol, rtol if atol is None else atol
            x, share = _through(slope, x, (t, end), i, bounds, share)
        yield x


def _through(
    slope: Slope,
    x: Tensor,
    ends: tuple[float, float],
    interval: int,
    bounds: tuple[float, float],
    share: float,
) -> tuple[Tensor, float]:
    """One interval in as many steps as the bounds need; the share of it that a step may be."""
    t, span = ends[0], ends[1] - ends[0]
    done, first = 0.0, None
    while done < 1:
        taken = min(share, 1 - done)
        at, h = t + done * span, taken * span
        slopes = _slopes(slope, x, at, h, interval, first)
        produced = _result(x, h, slopes)
        slopes.append(slope(produced, at + h, interval))
        # The one scalar that is read from the device: whether the step is small enough.
        error = float(_error(x, produced, h, slopes, bounds))
        # False for what is not a number, too.
        accepted = error <= 1
        proposed = taken * _change(error)
        cut_short = taken < share
        share = max(share, proposed) if accepted and cut_short else proposed
        if accepted:
            x, first = produced, slopes[-1]
            done = 1.0 if taken >= 1 - done else done + taken
        elif share < SMALLEST_SHARE:
            raise InputError(
                f"No step is small enough for a tolerance of {bounds[0]:g} at {at:g}; allow more."
            )
    return x, share


def _slopes(
    slope: Slope, x: Tensor, t: float, h: float, interval: int, first: Tensor | None = None
) -> list[Tensor]:
    """Those of the six stages of a step."""
    slopes = [slope(x, t, interval) if first is None else first]
    for c, row in zip(C[1:], A[1:-1], strict=True):
        slopes.append(slope(_moved(x, h, row, slopes), t + c * h, interval))
    return slopes


def _moved(x: Tensor, h: float, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    for weight, one in zip(weights, slopes, strict=True):
        if weight:
            x = x + (h * weight) * one
    return x


def _result(x: Tensor, h: float, slopes: Sequence[Tensor]) -> Tensor:
    return _moved(x, h, A[-1], slopes)


def _error(
    x: Tensor, produced: Tensor, h: float, slopes: Sequence[Tensor], bounds: tuple[float, float]
) -> Tensor:
    """The error of a step in units of what is allowed, of the worst picture."""
    rtol, atol = bounds
    error = _moved(torch.zeros_like(x), h, E, slopes)
    allowed = atol + rtol * torch.maximum(x.abs(), produced.abs())
    return (error / allowed).flatten(1).square().mean(1).sqrt().amax()


def _change(error: float) -> float:
    """The factor by which a step may grow, or must shrink."""
    if not math.isfinite(error):
        return LEAST
    return min(MOST, max(LEAST, SAFETY * math.pow(max(error, 1e-12), -0.2)))
