"""Pairs of a layout and a style: emoji and a scribble, photographs, and two drawn textures."""

from __future__ import annotations

import math
from pathlib import Path

import skimage
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ilvr_latent.embedded import REFERENCES
from ilvr_latent.pictures.images import fit_to, read_image, to_tensor

SIDE = 256
# Layout, style, and what the layout shows, as a prompt.
PAIRS = (
    ("noto_apple", "hatching", "apple"),
    ("noto_frog", "dots", "frog face"),
    ("scribble_smiley", "twemoji_octopus", "smiling face"),
    ("noto_dog", "noto_pumpkin", "dog face"),
    ("twemoji_rocket", "chelsea.png", "rocket"),
    ("noto_pumpkin", "scribble_car", "pumpkin"),
)


def layouts_and_styles(side: int) -> tuple[Tensor, Tensor]:
    """Of all pairs, each (B, 3, side, side) in [-1, 1]."""
    layouts, styles = (
        torch.cat([to_tensor(fit_to(_picture(pair[k]), (side, side))) for pair in PAIRS])
        for k in (0, 1)
    )
    return layouts, styles


def _picture(name: str) -> Image.Image:
    drawn = {"hatching": _hatching, "dots": _dots}
    if name in drawn:
        return drawn[name]()
    if "." in name:
        return read_image(Path(skimage.__file__).parent / "data" / name)
    return read_image(REFERENCES / f"{name}.png")


def _hatching() -> Image.Image:
    """Strokes of a pen, all in one direction, on cream paper."""
    picture = Image.new("RGB", (SIDE, SIDE), (246, 236, 214))
    draw, generator = ImageDraw.Draw(picture), torch.Generator().manual_seed(0)
    for x, y, length, turn in torch.rand(170, 4, generator=generator).tolist():
        angle, reach = math.pi / 4 + 0.25 * (turn - 0.5), 15 + 25 * length
        across, down = reach * math.cos(angle), reach * math.sin(angle)
        middle = x * SIDE, y * SIDE
        ends = (middle[0] - across, middle[1] - down, middle[0] + across, middle[1] + down)
        draw.line(ends, fill=(30, 34, 80), width=6)
    return picture


def _dots() -> Image.Image:
    """Dots in rows, as of a coarse print."""
    picture = Image.new("RGB", (SIDE, SIDE), (250, 210, 60))
    draw = ImageDraw.Draw(picture)
    for i in range(-1, 11):
        for j in range(-1, 11):
            x, y = 28 * i + 14 * (j % 2), 28 * j
            draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=(200, 30, 90))
    return picture
