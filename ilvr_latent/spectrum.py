"""How a picture's power is spread over coarse and fine structure."""

from __future__ import annotations

import torch
from torch import Tensor


def radial_power_spectrum(x: Tensor) -> Tensor:
    """Mean power on rings of equal spatial frequency.

    The picture is mirrored about its edges, as phi_N does it (its power is that of the DCT-II), so
    edges that do not meet are no fine structure. White noise of variance v has power v throughout.

    Args:
        x: (..., H, W); dimensions in front are averaged over.

    Returns:
        fp32 (S,), S = min(H, W). Ring k is at k / 2S cycles per pixel, and ring 0 the mean.
    """
    height, width = x.shape[-2:]
    side = min(height, width)
    mirrored = torch.cat([x, x.flip(-1)], dim=-1).float()
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], dim=-2)
    power = torch.fft.rfft2(mirrored, norm="ortho").abs().square()
    power = power.reshape(-1, *power.shape[-2:]).mean(0)
    rows, columns = torch.fft.fftfreq(2 * height)[:, None], torch.fft.rfftfreq(2 * width)
    ring = (torch.hypot(rows, columns) * 2 * side).round().long().flatten().to(x.device)
    # The corners, finer than the rows and columns themselves can be, are left out.
    ring = ring.clamp(max=side)
    sums = power.new_zeros(side + 1).index_add(0, ring, power.flatten())
    counts = power.new_zeros(side + 1).index_add(0, ring, torch.ones_like(power).flatten())
    rings: Tensor = (sums / counts)[:side]
    return rings


def frequencies(side: int) -> list[float]:
    """Cycles per pixel of the rings of a picture whose shorter side is ``side``."""
    return [ring / (2 * side) for ring in range(side)]


def cut(factor: float) -> float:
    """The finest frequency that a picture of 1/N the size can show: 1 / 2N cycles per pixel."""
    return 1 / (2 * factor)
