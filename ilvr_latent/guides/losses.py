"""Losses for universal guidance (arXiv 2302.07121): each is made once and then called with x_0.

    x_0   clean pictures, (B, C, H, W)       a loss gives (B,), lower is better, differentiable

A loss of your own is any function of that shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor], Tensor]
Features = Callable[[Tensor], Tensor]
"""Pictures (B, C, H, W) to feature maps (B, D, h, w), differentiable."""


def colour_histogram(target: Tensor, *, bins: int = 16) -> Loss:
    """Squared distance of the colour distributions, channel by channel, whatever the places.

    Args:
        target: (1, C, H, W) in [-1, 1].
        bins: of each channel; each is as wide as its neighbours are apart, so that a gradient
            leads from one to the next.
    """
    wanted = _soft_histogram(target, bins)

    def loss(x_0: Tensor) -> Tensor:
        # Cumulated, a colour is the nearer the fewer bins it is away.
        apart = (_soft_histogram(x_0, bins) - wanted.to(x_0)).cumsum(dim=-1)
        return apart.square().sum(dim=(1, 2))

    return loss


def _soft_histogram(x: Tensor, bins: int) -> Tensor:
    """(B, C, bins), each channel's sums to one."""
    centres = torch.linspace(-1, 1, bins, device=x.device, dtype=x.dtype)
    width = 2 / (bins - 1)
    away = (x.flatten(2).clamp(-1, 1)[..., None] - centres).abs() / width
    return (1 - away).clamp(min=0).mean(dim=2)


def masked_distance(target: Tensor, mask: Tensor) -> Loss:
    """Mean squared distance from a picture where a mask is 1.

    Args:
        target: (1, C, H, W).
        mask: in [0, 1], broadcastable to it, not 0 everywhere.
    """

    def loss(x_0: Tensor) -> Tensor:
        area = mask.to(x_0).expand_as(x_0)
        apart = (area * (x_0 - target.to(x_0))).square().flatten(1).sum(1)
        return apart / area.square().flatten(1).sum(1)

    return loss


def edges(target: Tensor) -> Loss:
    """Mean squared distance of the edges: differences of neighbouring grey values.

    Args:
        target: (1, C, H, W), such as a drawing.
    """

    def loss(x_0: Tensor) -> Tensor:
        pairs = zip(_differences(x_0), _differences(target.to(x_0)), strict=True)
        return torch.stack([(a - b).square().flatten(1).mean(1) for a, b in pairs]).sum(0)

    return loss


def _differences(x: Tensor) -> tuple[Tensor, Tensor]:
    grey = x.mean(dim=1, keepdim=True)
    return grey.diff(dim=-1), grey.diff(dim=-2)


def style(features: Features, target: Tensor) -> Loss:
    """Mean squared distance of the Gram matrices of features (arXiv 1508.06576).

    Args:
        features: of a network.
        target: (1, C, H, W), whose style is wanted.
    """
    wanted = _gram(features(target)).detach()

    def loss(x_0: Tensor) -> Tensor:
        return (_gram(features(x_0)) - wanted.to(x_0)).square().mean(dim=(1, 2))

    return loss


def _gram(maps: Tensor) -> Tensor:
    flat = maps.flatten(2)
    return flat @ flat.mT / flat.shape[-1]


def cross_entropy(logits: Callable[[Tensor], Tensor], labels: int | Sequence[int] | Tensor) -> Loss:
    """Of a classifier of clean pictures, or of a segmentation network.

    Args:
        logits: pictures to (B, K) or, for a segmentation, (B, K, h, w).
        labels: one class for all, one for each picture, or a map (1 or B, h, w) of classes.
    """

    def loss(x_0: Tensor) -> Tensor:
        scores = logits(x_0)
        wanted = torch.as_tensor(labels, dtype=torch.int64, device=x_0.device)
        wanted = wanted.expand(scores.shape[0], *scores.shape[2:])
        return F.cross_entropy(scores, wanted, reduction="none").reshape(len(scores), -1).mean(1)

    return loss
