"""Coarse of one reference, fine of another: ``python docs/bands.py FILE``.

The picture of docs/bands.md, by the embedded model. All columns have the same noise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from ilvr_latent import ILVR, Reference, SeededNoise, load_embedded, sample_with
from ilvr_latent.pictures.images import fit_to, read_image, to_images, to_tensor
from ilvr_latent.pictures.sheet import Column, contact_sheet

REFERENCES = Path(__file__).parent.parent / "ilvr_latent" / "assets" / "references"
PAIRS = (
    ("noto_apple", "twemoji_sunflower"),
    ("photo_coffee", "noto_frog"),
    ("scribble_smiley", "noto_dog"),
)
STEPS, SIDE, N = 30, 64, 8


def ways(a: Tensor, b: Tensor) -> dict[str, ILVR]:
    """By the labels of the columns; a and b are (pairs, 3, H, W)."""
    layout = Reference(a, N)
    return {
        f"coarse of A\nN = {N}": ILVR(layout),
        f"fine of B\nN = {N}": ILVR(Reference(b, N, band="fine")),
        f"both\nN = {N} and {N}": ILVR([layout, Reference(b, N, band="fine")]),
        f"both\nN = {N} and {N // 2}": ILVR([layout, Reference(b, N / 2, band="fine")]),
    }


def main(path: Path) -> None:
    """Draw it."""
    model, shape = load_embedded(), (len(PAIRS), 3, SIDE, SIDE)
    given = [
        [fit_to(read_image(REFERENCES / f"{pair[i]}.png"), (SIDE, SIDE)) for pair in PAIRS]
        for i in (0, 1)
    ]
    guides = ways(*(torch.cat([to_tensor(one) for one in images]) for images in given))
    made = [
        to_images(sample_with(model, guide, shape=shape, steps=STEPS, noise=SeededNoise(0)))
        for guide in guides.values()
    ]
    labels = [Column(label, gap=20 if i in (0, 2) else 6) for i, label in enumerate(guides)]
    rows = [list(row) for row in zip(*given, *made, strict=True)]
    contact_sheet(rows, [Column("A"), Column("B"), *labels], cell=96).save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
