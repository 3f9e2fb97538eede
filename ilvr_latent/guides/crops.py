"""Where in a large picture a crop of it lies: samplers that work on crops do not say.

    W    the whole, (C, H, W)      c    the crop, (C, h, w)      p    a place, row and column

    d(p) = sum (W[p : p + h, w] - c)^2 = sum W^2 - 2 (W * c)(p) + sum c^2

The place is where d is smallest; the cross-correlation W * c is a product of Fourier transforms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError


@dataclass(frozen=True)
class Found:
    """A crop in a whole picture.

    Attributes:
        top: its first row.
        left: its first column.
        apart: the root of the mean square of what differs, as a share of the whole's standard
            deviation: 0 where it is cut out, 1.4 for what has nothing to do with it.
    """

    top: int
    left: int
    apart: float


def find_crop(crop: Tensor, whole: Tensor) -> Found:
    """Look for a crop at every place.

    Args:
        crop: (C, h, w).
        whole: (C, H, W).

    Raises:
        InputError: the crop is larger, or of another number of channels.
    """
    size, sides = crop.shape[-2:], whole.shape[-2:]
    if crop.shape[0] != whole.shape[0] or size[0] > sides[0] or size[1] > sides[1]:
        raise InputError(
            f"A tile of {tuple(crop.shape)} (channels, height, width) is no part of a picture of "
            f"{tuple(whole.shape)}; plug in the whole picture that the tiles are cut from."
        )
    c, w = crop.double(), whole.double()
    transformed = torch.fft.rfft2(w) * torch.fft.rfft2(c, s=tuple(sides)).conj()
    correlation = torch.fft.irfft2(transformed, s=tuple(sides)).sum(0)
    rows, columns = (side - own + 1 for side, own in zip(sides, size, strict=True))
    squares = _sums(w.square().sum(0), *size)
    d = squares - 2 * correlation[:rows, :columns] + c.square().sum()
    place = int(d.argmin())
    spread = w.var().clamp(min=torch.finfo(torch.float32).eps) * c.numel()
    apart = float((d.min().clamp(min=0) / spread).sqrt())
    return Found(*divmod(place, columns), apart)


def _sums(x: Tensor, height: int, width: int) -> Tensor:
    """Over every window of (H, W)."""
    whole = torch.nn.functional.pad(x.cumsum(0).cumsum(1), (1, 0, 1, 0))
    rows = whole[height:] - whole[:-height]
    return rows[:, width:] - rows[:, :-width]
