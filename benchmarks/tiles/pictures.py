"""Small pictures whose large ones are known: emoji that no model was trained on, photographs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import skimage
import torch
from PIL import Image
from torch import Tensor

from benchmarks.colours.photographs import NAMES
from ilvr_latent.pictures.images import fit_to, read_image, to_tensor
from training.captions import captions
from training.data import CACHE, is_held_out, read_on_white, select

# Of an emoji in its frame, along a side.
SIZE = 0.8


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures at two sizes.

    Attributes:
        small: (B, 3, h, w) in [-1, 1].
        large: (B, 3, H, W), the same ones.
        prompts: what they are called.
    """

    small: Tensor
    large: Tensor
    prompts: list[str]


def emoji(small: int, large: int, count: int) -> Pictures:
    """Held-out emoji of the training set (``python -m training.data``), by the side in pixels.

    Each is a little smaller than its frame and lies anywhere in it, so that no border of a tile
    goes through the middle of all of them.
    """
    pictures = select(CACHE / "npm")
    names = captions(pictures, CACHE / "npm")
    held_out = is_held_out(pictures).nonzero().flatten().tolist()
    chosen = [index for index in held_out if names[index]][:count]
    placed = [_placed(pictures[index].path, large, seed=index) for index in chosen]

    def at(side: int) -> Tensor:
        return torch.cat([to_tensor(fit_to(picture, (side, side))) for picture in placed])

    return Pictures(at(small), at(large), [names[index][0] for index in chosen])


def _placed(path: Path, side: int, seed: int) -> Image.Image:
    own = round(SIZE * side)
    picture = Image.fromarray(read_on_white(path, own).movedim(0, -1).numpy())
    canvas, chance = Image.new("RGB", (side, side), "white"), random.Random(seed)
    canvas.paste(picture, (chance.randint(0, side - own), chance.randint(0, side - own)))
    return canvas


def photographs(small: int, large: int, count: int) -> Pictures:
    """Photographs of scikit-image, by the side in pixels."""
    folder = Path(skimage.__file__).parent / "data"
    read = [read_image(folder / name) for name in NAMES[:count]]

    def at(side: int) -> Tensor:
        return torch.cat([to_tensor(fit_to(picture, (side, side))) for picture in read])

    return Pictures(at(small), at(large), [""] * len(read))
