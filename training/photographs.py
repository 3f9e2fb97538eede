"""Photographs for the autoencoder: tiles of the free pictures that come with scikit-image.

Emoji alone teach it no texture. The cup of coffee is left out: it is a reference.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from training.data import SIDE

# All CC0 or in the public domain, as scikit-image's own list says.
NAMES = (
    "astronaut.png",
    "chelsea.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
    "retina.jpg",
    "ihc.png",
    "grass.png",
    "gravel.png",
    "brick.png",
    "camera.png",
)
TILES = 30
SMALLEST = 96  # pixels of the original in a tile


def photographs() -> Tensor:
    """Random square tiles of each, uint8 (K, 3, 128, 128), the same on every machine."""
    generator = Generator().manual_seed(0)
    tiles = []
    for name in NAMES:
        with as_file(files("skimage") / "data" / name) as path, Image.open(path) as picture:
            image = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        for _ in range(TILES):
            tiles.append(random_tile(image, generator))
    return torch.stack(tiles)


def random_tile(image: Tensor, generator: Generator) -> Tensor:
    """A square of any size and place, uint8 (3, 128, 128)."""
    height, width = image.shape[-2:]
    largest = min(height, width)
    side = SMALLEST + int((largest - SMALLEST) * torch.rand((), generator=generator) ** 2)
    top = int(torch.randint(height - side + 1, (), generator=generator))
    left = int(torch.randint(width - side + 1, (), generator=generator))
    tile = image[None, :, top : top + side, left : left + side].float()
    resized = F.interpolate(tile, (SIDE, SIDE), mode="bicubic", antialias=True)[0]
    return resized.round().clamp(0, 255).byte()
