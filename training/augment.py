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


def crop(picture: Tensor, side: int, generator: Generator) -> Tensor:
    """One crop with strongly changed colours, for a network that must serve any picture.

    The hue is turned by any angle, saturation and contrast vary, and the white behind the picture
    becomes any colour in a third of the crops.

    Args:
        picture: uint8 (3, S, S) on white.
        side: side of the crop in pixels.
        generator: where every random number comes from.

    Returns:
        (3, side, side) in [-1, 1].
    """
    length = picture.shape[-1]
    size = round(side * uniform(0.6, 1.7, generator))
    size = min(size, length)
    top, left = (int(torch.randint(length - size + 1, (), generator=generator)) for _ in range(2))
    image = picture[:, top : top + size, left : left + size].float() / 127.5 - 1
    image = F.interpolate(image[None], (side, side), mode="bicubic", antialias=True)[0]
    if torch.rand((), generator=generator) < 0.5:
        image = image.flip(-1)
    if torch.rand((), generator=generator) < 0.5:
        image = image.transpose(-1, -2)
    if torch.rand((), generator=generator) < 0.33:
        # Multiplying keeps the picture's own shading and dyes what was white.
        dye = torch.rand(3, 1, 1, generator=generator)
        image = (image + 1) * dye - 1
    if torch.rand((), generator=generator) < 0.6:
        image = rotate_hue(image, uniform(-180, 180, generator))
    grey = image.mean(dim=0, keepdim=True)
    image = grey + (image - grey) * uniform(0.3, 1.2, generator)
    image = image * uniform(0.6, 1.05, generator) + uniform(-0.2, 0.2, generator)
    return image.clamp(-1, 1)
