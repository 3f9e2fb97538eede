"""Small pictures whose large ones are known: emoji that no model was trained on, photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import skimage
import torch
from torch import Tensor

from benchmarks.colours.photographs import NAMES
from ilvr_latent.pictures.images import fit_to, read_image, to_tensor
from training.captions import captions
from training.data import CACHE, is_held_out, read_on_white, select


@dataclass(frozen=True)
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
    """Held-out emoji of the training set (``python -m training.data``), by the side in pixels."""
    pictures = select(CACHE / "npm")
    names = captions(pictures, CACHE / "npm")
    held_out = is_held_out(pictures).nonzero().flatten().tolist()
    chosen = [index for index in held_out if names[index]][:count]

    def at(side: int) -> Tensor:
        read = [read_on_white(pictures[index].path, side) for index in chosen]
        return torch.stack(read).float() / 127.5 - 1

    return Pictures(at(small), at(large), [names[index][0] for index in chosen])


def photographs(small: int, large: int, count: int) -> Pictures:
    """Photographs of scikit-image, by the side in pixels."""
    folder = Path(skimage.__file__).parent / "data"
    read = [read_image(folder / name) for name in NAMES[:count]]

    def at(side: int) -> Tensor:
        return torch.cat([to_tensor(fit_to(picture, (side, side))) for picture in read])

    return Pictures(at(small), at(large), [""] * len(read))
