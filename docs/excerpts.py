"""What the pages show of the sheets that measurements make.

python -m docs.excerpts methods build/studies/methods docs/images/methods.webp
python -m docs.excerpts tiles build/studies/tiles docs/images/tiles.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from safetensors.torch import load_file

from benchmarks.tiles.pictures import emoji
from ilvr_latent.pictures.images import to_images
from ilvr_latent.pictures.sheet import Column, contact_sheet
from ilvr_latent.upscaling import enlarged

# Of the sheet of `ilvr evaluate --methods`: what stands above it, and a row.
HEADER, ROW = 56, 136
# References of which the page shows what the methods make: different objects, drawn in all ways.
REFERENCES = (1, 3, 4, 6, 7, 10)
# Of the ways of benchmarks.tiles, by their place there.
WAYS = {
    "plain tiling": 0,
    "each the whole": 1,
    "MultiDiffusion": 3,
    "DemoFusion": 4,
    "ILVR": 5,
}
SHOWN, SMALL, LARGE = 6, 64, 128


def methods(measured: Path, path: Path) -> None:
    """Six references of the leaderboard."""
    with Image.open(measured / "leaderboard.png") as whole:
        parts = [whole.crop((0, 0, whole.width, HEADER))]
        for row in REFERENCES:
            top = HEADER + row * ROW
            parts.append(whole.crop((0, top, whole.width, top + ROW)))
    sheet = Image.new("RGB", (parts[0].width, HEADER + ROW * len(REFERENCES)), "white")
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    sheet.save(path, quality=88, method=6)


def tiles(measured: Path, path: Path) -> None:
    """Six emoji by the ways that differ to the eye."""
    pictures = emoji(SMALL, LARGE, SHOWN)
    shown = {"true": pictures.large, "enlarged": enlarged(pictures.small, (LARGE, LARGE))}
    for label, place in WAYS.items():
        file = measured / f"pixels-{SMALL}-to-{LARGE}.{place}.safetensors"
        shown[label] = load_file(file)["made"][:SHOWN]
    rows = [to_images(made.clamp(-1, 1)) for made in shown.values()]
    sheet = contact_sheet(rows, [Column("")] * SHOWN, row_labels=list(shown), cell=LARGE)
    sheet.save(path, quality=85, optimize=True, progressive=True)


if __name__ == "__main__":
    {"methods": methods, "tiles": tiles}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
