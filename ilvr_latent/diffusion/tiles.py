"""Pictures larger than those that a network was trained on: windows of its size, blended.

MultiDiffusion (arXiv 2302.08113), eq. 5: at every step, each place takes the average of what all
windows that hold it ask for.

    x      state, (B, C, ..., H, W)         F_i    window i of it, of the network's own size
    e      the network                      W_i    weight of the places of window i

    e'(x) = sum_i F_i^-1( W_i e(F_i(x)) ) / sum_i F_i^-1( W_i )

W is Hann's window, which falls to nearly 0 at the edges, so that no place is left to one window
here and to another beside it. What a network says of a state (its noise, a velocity, the picture)
is linear in the picture that it means, so to average the one is to average the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ..errors import InputError
from .denoiser import Denoiser, DenoiserConfig

Place = tuple[slice, slice]
"""Rows and columns of a window."""


@dataclass(frozen=True)
class Tiles:
    """How a large picture is divided.

    Args:
        height: of a window, in pixels of the sampled tensor (``cells`` of a latent): that of the
            pictures which the network draws at its best.
        width: likewise.
        overlap: the least share of a window that lies on its neighbour, 0 (side by side, which
            leaves seams) to below 1.

    Raises:
        InputError: a number cannot be used.
    """

    height: int
    width: int
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise InputError(
                f"A window of {self.width}x{self.height} (width, height) holds nothing; use sides "
                "of 1 or more."
            )
        if not 0 <= self.overlap < 1:
            raise InputError(
                f"The overlap is {self.overlap:g} of a window; use a share from 0 to below 1, "
                "such as 0.5."
            )

    def places(self, shape: Sequence[int]) -> list[Place]:
        """The windows of a picture (..., H, W), row by row, evenly spread over it."""
        rows, columns = (
            [slice(start, start + min(size, side)) for start in _starts(side, size, self.overlap)]
            for side, size in zip(shape[-2:], (self.height, self.width), strict=True)
        )
        return list(product(rows, columns))

    def blended(
        self, x: Tensor, asked: Callable[[Tensor, Sequence[Place]], Tensor], at_once: int = 1
    ) -> Tensor:
        """What the windows of x ask for, averaged.

        Args:
            x: (B, C, ..., H, W).
            asked: of K windows, (K B, C, ..., h, w), those of one place together, and of their
                places, what the network says, (K B, C', ..., h, w).
            at_once: the largest K.

        Returns:
            (B, C', ..., H, W).
        """
        places = self.places(x.shape)
        if len(places) == 1:
            return asked(x, places)
        total: Tensor | None = None
        weights = torch.zeros(x.shape[-2:], device=x.device)
        for first in range(0, len(places), at_once):
            some = places[first : first + at_once]
            said = asked(torch.cat([x[..., rows, columns] for rows, columns in some]), some)
            if total is None:
                total = said.new_zeros(*x.shape[:1], *said.shape[1:-2], *x.shape[-2:])
            weight = hann(said.shape[-2], said.shape[-1], x.device)
            for (rows, columns), one in zip(some, said.chunk(len(some)), strict=True):
                total[..., rows, columns] += weight.to(one) * one
                weights[rows, columns] += weight
        assert total is not None
        return total / weights.to(total)


def _starts(length: int, size: int, overlap: float) -> list[int]:
    """Where windows of ``size`` begin along a side of ``length``."""
    beyond = length - size
    if beyond <= 0:
        return [0]
    stride = max(1, math.floor(size * (1 - overlap)))
    count = math.ceil(beyond / stride) + 1
    return [round(i * beyond / (count - 1)) for i in range(count)]


def hann(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """W, (height, width) in fp32: 1 in the middle, nearly 0 at the edges."""
    rows, columns = (
        torch.sin(math.pi * (torch.arange(side, device=device) + 0.5) / side).square()
        for side in (height, width)
    )
    return rows[:, None] * columns


@dataclass(frozen=True)
class TiledDenoiser:
    """A network that is shown windows of a large picture; a :class:`.denoiser.Denoiser`.

    Args:
        model: the network.
        tiles: how a picture is divided.
        batch: pictures that the network is given at once, at most; one window of all pictures
            is never divided.
    """

    model: Denoiser
    tiles: Tiles
    batch: int = 16

    @property
    def config(self) -> DenoiserConfig:
        """Of the network."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Of the network."""
        return self.model.device

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Raw output for x_t (B, C, H, W) at original timesteps t (B,)."""

        def asked(windows: Tensor, places: Sequence[Place]) -> Tensor:
            labels = None if y is None else y.repeat(len(places))
            return self.model(windows, t.repeat(len(places)), labels)

        return self.tiles.blended(x, asked, max(1, self.batch // len(x)))
