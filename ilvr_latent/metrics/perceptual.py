"""Distances between single pictures: perceptual, and in the low frequencies.

f_l     levels      feature maps of a network, of several stages l
d       the distance of LPIPS (arXiv 1801.03924, eq. 1), without its learned weights
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..guides.lowpass import LowPass
from .protocols import PerceptualDistance

# Compared at a time: VGG's maps of a 256x256 picture are 32 MB.
PAIRS = 16


def perceptual_distance(f: Sequence[Tensor], g: Sequence[Tensor]) -> Tensor:
    """d = mean over stages and places of |f_l / |f_l| - g_l / |g_l||^2.

    Args:
        f: a tensor (B, C_l, H_l, W_l) for each stage.
        g: the same shapes.

    Returns:
        (B,), 0 for equal pictures.
    """
    stages = [
        (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(dim=1).mean(dim=(1, 2))
        for a, b in zip(f, g, strict=True)
    ]
    return torch.stack(stages).mean(dim=0)


def diversity(network: PerceptualDistance, x: Tensor) -> float:
    """The mean perceptual distance over all pairs of samples of one reference.

    Args:
        network: what pictures are compared by.
        x: (K, 3, H, W), K >= 2: ten samples are 45 pairs.
    """
    pairs = torch.combinations(torch.arange(len(x)))
    of_some = [network.distance(x[p[:, 0]], x[p[:, 1]]) for p in torch.split(pairs, PAIRS)]
    return torch.cat(of_some).mean().item()


def low_pass_residual(x: Tensor, y_0: Tensor, factor: float) -> Tensor:
    """The root mean square of phi_N(x - y_0), (B,): what is left of eq. 8 to match.

    Args:
        x: samples (B, C, H, W).
        y_0: references, of a shape that broadcasts to x.
        factor: N.
    """
    return LowPass(factor)(x - y_0).square().mean(dim=(1, 2, 3)).sqrt()
