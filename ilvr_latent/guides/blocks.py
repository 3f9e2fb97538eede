"""The geometry of SDDM (arXiv 2308.02154): a picture by the statistics of its blocks.

    n      blocks along each side           m, s   mean and standard deviation of each block
    x, v   a state, and a direction at it   r      x - m, from the centre of the sphere

The states whose blocks all have mean m and standard deviation s lie on a sphere in each block:
block AdaIN takes a state there, and a direction is split into the part that stays on it and the
rest. Every variance is unbiased and has 1e-5 added, as in the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from einops import rearrange
from torch import Tensor

from ..errors import InputError

EPSILON = 1e-5
IN_BLOCK = (-2, -1)


def check_blocks(shape: Sequence[int], blocks: int) -> None:
    """Refuse a number of blocks that a picture of this shape, (..., H, W), does not divide into.

    Raises:
        InputError: it does not, or its blocks would be single numbers, which have no variance.
    """
    height, width = shape[-2:]
    fits = [
        n
        for n in range(1, math.gcd(height, width) + 1)
        if height % n == 0 and width % n == 0 and (height // n) * (width // n) > 1
    ]
    if blocks not in fits:
        raise InputError(
            f"{width}x{height} (width, height) does not divide into {blocks}x{blocks} equal blocks "
            f"of more than one number; use {_choice(fits)}."
        )


def _choice(fits: list[int]) -> str:
    if len(fits) > 1:
        return f"{', '.join(map(str, fits[:-1]))} or {fits[-1]} blocks"
    return "1 block, or another size" if fits else "another size"


def blocked(x: Tensor, blocks: int) -> Tensor:
    """(..., H, W) to (..., n, n, H / n, W / n).

    Raises:
        InputError: the size does not divide.
    """
    check_blocks(x.shape, blocks)
    return rearrange(x, "... (n h) (m w) -> ... n m h w", n=blocks, m=blocks)


def unblocked(x: Tensor) -> Tensor:
    """:func:`blocked` turned round."""
    return rearrange(x, "... n m h w -> ... (n h) (m w)")


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def block_statistics(y: Tensor, blocks: int) -> tuple[Tensor, Tensor]:
    """m and s of every block and channel.

    Args:
        y: (..., H, W).
        blocks: n, along each side.

    Returns:
        Mean and standard deviation, each (..., n, n, 1, 1), at least fp32.

    Raises:
        InputError: the size does not divide.
    """
    cells = blocked(_wide(y), blocks)
    mean = cells.mean(IN_BLOCK, keepdim=True)
    # torch.var takes many times as long on many small groups.
    squares = (cells - mean).square().sum(IN_BLOCK, keepdim=True)
    variance = squares / (math.prod(cells.shape[-2:]) - 1)
    return mean, (variance + EPSILON).sqrt()


class ReferenceStatistics:
    """m and s of something that does not change, in whatever precision they are needed.

    Args:
        made: from a tensor whose device and dtype are wanted, what they are of, (..., H, W).
        blocks: n.
    """

    def __init__(self, made: Callable[[Tensor], Tensor], blocks: int) -> None:
        self._made, self._blocks = made, blocks
        self._known: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """On x's device, of x's dtype or fp32; tensors that autograd can keep."""
        at = x.device, x.dtype
        if at not in self._known:
            with torch.inference_mode(False), torch.no_grad():
                self._known[at] = block_statistics(self._made(x), self._blocks)
        return self._known[at]


def block_adain(x: Tensor, mean: Tensor, std: Tensor, blocks: int) -> Tensor:
    """x with these statistics in its blocks: (x - mean x) / std x * std + mean.

    Args:
        x: (..., H, W).
        mean: of :func:`block_statistics`, of a shape that broadcasts.
        std: likewise.
        blocks: n.

    Returns:
        x's shape and dtype.

    Raises:
        InputError: the size does not divide.
    """
    own_mean, own_std = block_statistics(x, blocks)
    placed = (blocked(_wide(x), blocks) - own_mean) / own_std * std + mean
    return unblocked(placed).to(x.dtype)


def tangent_split(x: Tensor, v: Tensor, mean: Tensor, blocks: int) -> tuple[Tensor, Tensor]:
    """A direction as its part along the sphere at x, and the rest.

    The two are orthogonal where the blocks of x have this mean, and the first alters neither the
    mean of a block nor, to first order, its variance.

    Args:
        x: (..., H, W).
        v: likewise.
        mean: of the sphere's blocks, (..., n, n, 1, 1).
        blocks: n.

    Returns:
        Both of v's shape and dtype; their sum is v.

    Raises:
        InputError: the size does not divide.
    """
    r, cells = blocked(_wide(x), blocks) - mean, blocked(_wide(v), blocks)
    centred = cells - cells.mean(IN_BLOCK, keepdim=True)
    squared = r.square().sum(IN_BLOCK, keepdim=True).clamp(min=torch.finfo(r.dtype).tiny)
    tangent = centred - (centred * r).sum(IN_BLOCK, keepdim=True) / squared * r
    return unblocked(tangent).to(v.dtype), unblocked(cells - tangent).to(v.dtype)
