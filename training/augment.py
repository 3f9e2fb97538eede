"""Random views of the training pictures: flip, zoom, shift, and a slight turn of the hue."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

RGB_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def uniform(low: float, high: float, generator: Generator) -> float:
    """One number from [low, high)."""
    return low + (high - low) * torch.rand((), generator=generator).item()


def rotate_hue(image: Tensor, degrees: float) -> Tensor:
    """Turn the hue of an RGB image (3, H, W) around the grey axis, brightness unchanged."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    matrix = torch.linalg.inv(RGB_TO_YIQ) @ turn @ RGB_TO_YIQ
    return torch.einsum("ij,jhw->ihw", matrix, image)


def view(picture: Tensor, side: int, generator: Generator, *, hue_share: float = 0.05) -> Tensor:
    """One random view of a picture on white.

    Args:
        picture: uint8 (3, S, S).
        side: side of the view in pixels.
        generator: where every random number comes from.
        hue_share: share of views whose hue is turned, by at most 20 degrees.

    Returns:
        (3, side, side) in [-1, 1].
    """
    size = round(side * uniform(0.82, 1.03, generator))
    image = F.interpolate(
        picture[None].float() / 127.5 - 1, (size, size), mode="bicubic", antialias=True
    )[0].clamp(-1, 1)
    if torch.rand((), generator=generator) < 0.5:
        image = image.flip(-1)
    if torch.rand((), generator=generator) < hue_share:
        image = rotate_hue(image, uniform(-20, 20, generator)).clamp(-1, 1)
    reach = 0.08 * side
    canvas = torch.ones(3, side + 2 * side, side + 2 * side)
    top, left = (
        side + round((side - size) / 2 + uniform(-reach, reach, generator)) for _ in range(2)
    )
    canvas[:, top : top + size, left : left + size] = image
    return canvas[:, side : 2 * side, side : 2 * side]
