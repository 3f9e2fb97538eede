"""What SDDM's blocks and EGSDE's pull make of two drawings: ``python docs/translation.py FOLDER``.

The pictures of their help pages, by the embedded model; ``make gallery`` calls this. All columns
have the same noise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from ilvr_latent import EGSDE, SDDM, Guide, SeededNoise, Start, load_embedded, sample_with
from ilvr_latent.diffusion import Denoiser
from ilvr_latent.pictures.images import fit_to, read_image, to_images, to_tensor
from ilvr_latent.pictures.sheet import Column, contact_sheet

REFERENCES = Path(__file__).parent.parent / "ilvr_latent" / "assets" / "references"
DRAWINGS = ("scribble_smiley", "noto_apple")
STEPS, SAMPLES, SIDE = 50, 2, 64
# Of 50 steps: the paper's end of SDDM, and a start that leaves EGSDE something to do.
HALF, START = 25, 10

Guides = dict[str, Guide]


def blocks(y_0: Tensor) -> Guides:
    """SDDM, by the labels of its columns."""
    half = {f"{n} blocks": SDDM(y_0, blocks=n, range_t=HALF) for n in (4, 8, 16)}
    return {**half, "8, to the end": SDDM(y_0, blocks=8)}


def pulls(y_0: Tensor) -> Guides:
    """EGSDE, likewise; without a weight it is SDEdit."""
    return {f"faithful {w:g}": EGSDE(y_0, factor=8, faithful=w) for w in (0, 0.5, 1, 2)}


def sheet(
    model: Denoiser, guides: Callable[[Tensor], Guides], first: int | None, path: Path
) -> None:
    """One picture: a drawing in each row, and what each guide makes of it."""
    rows, shape = [], (SAMPLES, 3, SIDE, SIDE)
    for drawing in DRAWINGS:
        image = fit_to(read_image(REFERENCES / f"{drawing}.png"), (SIDE, SIDE))
        y_0 = to_tensor(image)
        start = None if first is None else Start(y_0.expand(shape), first)
        made = [
            sample_with(model, guide, shape=shape, steps=STEPS, noise=SeededNoise(0), start=start)
            for guide in guides(y_0).values()
        ]
        rows.append([image, *(one for pictures in made for one in to_images(pictures))])
    columns = [Column("reference" if first is None else "source")]
    for label in guides(y_0):
        columns += [Column(label, gap=20), *[Column("") for _ in range(SAMPLES - 1)]]
    contact_sheet(rows, columns, cell=96).save(path, quality=90)


def main(folder: Path) -> None:
    """Draw both."""
    model = load_embedded()
    sheet(model, blocks, None, folder / "ILVRBlockStatistics.jpg")
    sheet(model, pulls, START, folder / "ILVREGSDE.jpg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
