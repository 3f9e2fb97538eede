"""How a picture's power is spread over coarse and fine structure."""

from __future__ import annotations

import torch
from torch import Tensor

from .lowpass import low_pass_matrices


def radial_power_spectrum(x: Tensor) -> Tensor:
    """Mean power on rings of equal spatial frequency.

    Taken from the DCT-II: the picture is mirrored about its edges as phi_N does it, so that edges
    which do not meet are no fine structure. White noise of variance v has power v throughout.

    Args:
        x: (..., H, W); dimensions in front are averaged over.

    Returns:
        fp32 (S,), S = min(H, W). Ring k is at k / 2S cycles per pixel, and ring 0 the mean.
    """
    height, width = x.shape[-2:]
    side = min(height, width)
    # phi of N = 1 is every function of the orthonormal DCT-II.
    rows, columns = (
        low_pass_matrices(length, 1.0, "spectral")[0].to(x.device, torch.float32)
        for length in (height, width)
    )
    power = (rows @ x.float() @ columns.T).square().reshape(-1, height, width).mean(0)
    down, across = torch.arange(height)[:, None] / height, torch.arange(width) / width
    # The corners, finer than the rows and columns themselves can be, are left out.
    ring = (torch.hypot(down, across) * side).round().long().clamp(max=side).to(x.device).flatten()
    sums = power.new_zeros(side + 1).index_add(0, ring, power.flatten())
    means: Tensor = sums[:side] / torch.bincount(ring, minlength=side + 1)[:side]
    return means


def frequencies(side: int) -> list[float]:
    """Cycles per pixel of the rings of a picture whose shorter side is ``side``."""
    return [ring / (2 * side) for ring in range(side)]


def cut(factor: float) -> float:
    """The finest frequency that a picture of 1/N the size can show: 1 / 2N cycles per pixel."""
    return 1 / (2 * factor)
