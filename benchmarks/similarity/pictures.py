"""The references: 36 calibrate and 24 others check, of three kinds in equal shares.

Drawings      those that ship, and emoji of Noto and Twemoji whose subjects no model was trained on
Photographs   of scikit-image, the middle or a corner; none has a part on either side
Emoji         Fluent 3D, held out; a subject is drawn once, in one design
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import skimage
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from benchmarks.colours.photographs import photographs
from ilvr_latent.embedded import REFERENCES
from ilvr_latent.pictures.images import fit_to, read_image, to_tensor
from training import data
from training.references import NOTO, TWEMOJI, draw_emoji

SIDE, NPM = 256, data.CACHE / "npm"
# Held-out subjects, by number: in 3D, and as drawings of Noto and Twemoji by turns. The first
# twelve of either set, of which both have emoji with full tens, are those of earlier versions.
EARLIER = range(0, 60, 10)
SOLID = {"calibrate": (2, 6, 12, 16, 22, 26, 32, 36, 42), "check": (4, 14, 24, 34, 44)}
DRAWN = {"calibrate": (8, 18, 28, 38, 48, 58), "check": (46, 54, 62)}
WHOLE = {
    "calibrate": ("rocket.jpg", "camera.png", "brick.png", "coins.png", "cell.png", "gravel.png"),
    "check": ("grass.png", "moon.png"),
}
CORNERS = {
    "calibrate": ("chelsea.png", "hubble_deep_field.jpg", "motorcycle_left.png"),
    "check": ("astronaut.png", "retina.jpg"),
}


@cache
def references(which: str, side: int) -> Tensor:
    """(36 or 24, 3, side, side) in [-1, 1].

    Args:
        which: ``calibrate`` or ``check``: they have none in common.
        side: of the model's pictures.
    """
    chosen = torch.cat([_earlier()[0 if which == "calibrate" else 1 :: 2], _added(which)])
    if side == SIDE:
        return chosen
    return F.interpolate(chosen, (side, side), mode="bicubic", antialias=True).clamp(-1, 1)


@cache
def _earlier() -> Tensor:
    """(24, 3, 256, 256): those that ship, photographs, and emoji."""
    shipped = torch.cat([to_tensor(read_image(path)) for path in sorted(REFERENCES.glob("*.png"))])
    return torch.cat([shipped, photographs()[:7], _solid(EARLIER)])


def _added(which: str) -> Tensor:
    drawings = [_drawn(number, turn) for turn, number in enumerate(DRAWN[which])]
    folder = Path(skimage.__file__).parent / "data"
    whole = [read_image(folder / name) for name in WHOLE[which]]
    corners = [_corner(read_image(folder / name)) for name in CORNERS[which]]
    pictures = [*drawings, *(fit_to(picture, (SIDE, SIDE)) for picture in whole + corners)]
    return torch.cat([*map(to_tensor, pictures), _solid(SOLID[which])])


def _corner(picture: Image.Image) -> Image.Image:
    """The upper left quarter."""
    return picture.crop((0, 0, picture.width // 2, picture.height // 2))


def _solid(numbers: tuple[int, ...] | range) -> Tensor:
    stored = data.load()
    emoji = stored["images"][stored["held_out"]][list(numbers)].float() / 127.5 - 1
    return F.interpolate(emoji, (SIDE, SIDE), mode="bicubic").clamp(-1, 1)


def _drawn(number: int, turn: int) -> Image.Image:
    """A held-out subject as Noto or Twemoji has it."""
    package = data.fetch_package(*(NOTO, TWEMOJI)[turn % 2], NPM)
    named = json.loads((package / "chars.json").read_text(encoding="utf-8"))
    icons = {data.canonical(code_points): icon for code_points, icon in named.items()}
    pictures = data.select(NPM)
    index = int(data.is_held_out(pictures).nonzero()[number])
    return draw_emoji(package, icons[data.canonical(pictures[index].path.stem)])
