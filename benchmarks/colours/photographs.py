"""Photographs that come with scikit-image, and how far their colours are apart."""

from __future__ import annotations

from pathlib import Path

import skimage
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

from ilvr_latent import LowPass
from ilvr_latent.pictures.images import fit_to, read_image, to_tensor

SIDE = 256
NAMES = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


def photographs(names: tuple[str, ...] = NAMES) -> Tensor:
    """(B, 3, 256, 256) in [-1, 1], the middle of each."""
    folder = Path(skimage.__file__).parent / "data"
    pictures = [fit_to(read_image(folder / name), (SIDE, SIDE)) for name in names]
    return torch.cat([to_tensor(picture) for picture in pictures])


def low_band_psnr(x: Tensor, y: Tensor, factor: float) -> Tensor:
    """Of phi_N (cubic) of two pictures in [-1, 1], in decibels, (B,)."""
    error = LowPass(factor)(x - y).square().mean((1, 2, 3))
    return 10 * torch.log10(4 / error.clamp(min=1e-12))


def delta_e(x: Tensor, y: Tensor, factor: float) -> Tensor:
    """CIEDE2000 between phi_N (cubic) of two pictures, the mean over all places, (B,).

    About 1 is the least that an eye can tell; of whole pictures, N = 1, it is detail as well.
    """
    phi = LowPass(factor)
    lab = [rgb2lab((phi(one).clamp(-1, 1) / 2 + 0.5).movedim(1, -1).numpy()) for one in (x, y)]
    return torch.from_numpy(deltaE_ciede2000(*lab)).mean((1, 2))


def mean_offset(x: Tensor, y: Tensor) -> Tensor:
    """The largest difference of a channel's mean, in [0, 1], (B,)."""
    return (x - y).mean((2, 3)).abs().amax(1) / 2
