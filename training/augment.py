"""Random views of the training pictures, whole batches at once on any device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

RGB_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
YIQ_TO_RGB = torch.linalg.inv(RGB_TO_YIQ)
ZOOM, SHIFT, HUE = (0.82, 1.03), 0.08, 20.0


def uniform(low: float, high: float, size: int, generator: Generator) -> Tensor:
    """Numbers from [low, high), (size,)."""
    return low + (high - low) * torch.rand(size, generator=generator, device=generator.device)


def chosen(share: float, size: int, generator: Generator) -> Tensor:
    """Which of a batch are among this share, bool (size, 1, 1, 1)."""
    return (uniform(0, 1, size, generator) < share).view(-1, 1, 1, 1)


def rotate_hue(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn the hue of RGB images (B, 3, H, W) around the grey axis, brightness unchanged."""
    to_yiq, to_rgb = RGB_TO_YIQ.to(images), YIQ_TO_RGB.to(images)
    cos, sin = torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))
    one, zero = torch.ones_like(cos), torch.zeros_like(cos)
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], dim=-1).view(-1, 3, 3)
    return torch.einsum("bij,bjhw->bihw", to_rgb @ turn @ to_yiq, images)


def moved(images: Tensor, scale: Tensor, shift: Tensor, mirrored: Tensor, side: int) -> Tensor:
    """Zoomed, shifted and mirrored, on white.

    Args:
        images: (B, 3, S, S) in [-1, 1] on white.
        scale: (B,) size of the picture in the frame, 1 fills it.
        shift: (B, 2) right and down, in shares of the frame's side.
        mirrored: bool (B, 1, 1, 1).
        side: of the result in pixels.

    Returns:
        (B, 3, side, side) in [-1, 1].
    """
    affine = torch.zeros(len(images), 2, 3, device=images.device)
    affine[:, 0, 0] = torch.where(mirrored.flatten(), -1, 1) / scale
    affine[:, 1, 1] = 1 / scale
    affine[:, :, 2] = -2 * shift / scale[:, None]
    shape = (len(images), 3, *images.shape[-2:])
    grid = F.affine_grid(affine, list(shape), align_corners=False)
    # What lies outside is zero: white, once it has been taken away.
    x = 1 + F.grid_sample(images - 1, grid, mode="bicubic", align_corners=False)
    if side != x.shape[-1]:
        x = F.interpolate(x, (side, side), mode="bicubic", antialias=True)
    return x.clamp(-1, 1)


def views(pictures: Tensor, side: int, generator: Generator, *, hue_share: float = 0.05) -> Tensor:
    """One random view of each picture: mirrored, zoomed, shifted, seldom of a turned hue.

    Args:
        pictures: uint8 (B, 3, S, S) on white.
        side: side of the views in pixels.
        generator: where every random number comes from, on the pictures' device.
        hue_share: share of views whose hue is turned, by at most 20 degrees.

    Returns:
        (B, 3, side, side) in [-1, 1].
    """
    size = len(pictures)
    scale = uniform(*ZOOM, size, generator)
    shift = uniform(-SHIFT, SHIFT, 2 * size, generator).view(size, 2)
    x = moved(pictures.float() / 127.5 - 1, scale, shift, chosen(0.5, size, generator), side)
    turned = rotate_hue(x, uniform(-HUE, HUE, size, generator)).clamp(-1, 1)
    return torch.where(chosen(hue_share, size, generator), turned, x)


def crops(pictures: Tensor, side: int, generator: Generator) -> Tensor:
    """One crop of each with strongly changed colours, for a network that must serve any picture.

    The hue is turned by any angle, saturation and contrast vary, and the white behind the picture
    becomes any colour in a third of the crops.

    Args:
        pictures: uint8 (B, 3, S, S) on white.
        side: side of the crops in pixels, at most S.
        generator: where every random number comes from, on the pictures' device.

    Returns:
        (B, 3, side, side) in [-1, 1].
    """
    size, length = len(pictures), pictures.shape[-1]
    # The part of the picture that is seen, and where its middle lies.
    part = uniform(0.6 * side / length, min(1.0, 1.7 * side / length), size, generator)
    middle = uniform(-1, 1, 2 * size, generator).view(size, 2) * (1 - part)[:, None] / 2
    x = moved(
        pictures.float() / 127.5 - 1,
        1 / part,
        -middle / part[:, None],
        chosen(0.5, size, generator),
        side,
    )
    x = torch.where(chosen(0.5, size, generator), x.transpose(-1, -2), x)
    # Multiplying keeps the picture's own shading and dyes what was white.
    dye = uniform(0, 1, 3 * size, generator).view(size, 3, 1, 1)
    x = torch.where(chosen(0.33, size, generator), (x + 1) * dye - 1, x)
    turned = rotate_hue(x, uniform(-180, 180, size, generator))
    x = torch.where(chosen(0.5, size, generator), turned, x)
    grey = x.mean(dim=1, keepdim=True)
    saturation, contrast, light = (
        uniform(low, high, size, generator).view(-1, 1, 1, 1)
        for low, high in ((0.4, 1.2), (0.7, 1.05), (-0.2, 0.2))
    )
    changed = (grey + (x - grey) * saturation) * contrast + light
    return torch.where(chosen(0.6, size, generator), changed, x).clamp(-1, 1)
