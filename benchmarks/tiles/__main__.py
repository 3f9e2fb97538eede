"""Pictures drawn two and four times as large, by tiles, and what holds them together.

    python -m benchmarks.tiles --output DIR [--only pixels latents photographs]

Small pictures whose large ones are known: emoji that the models were not trained on (npm packages
of training/data.py) and photographs of scikit-image, for which the tiny autoencoder of FLUX.2's
latents is read from ``../shared/vae``. Writes tables in Markdown, whole after every row, and a
picture of each. A quarter of an hour of one free core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.colours.photographs import photographs as of_256
from ilvr_latent import Tiles
from ilvr_latent.metrics.domain import load_embedded_domain
from ilvr_latent.metrics.imagenet import load_imagenet_network
from ilvr_latent.metrics.network import load_feature_network
from ilvr_latent.pictures.files import output_folder, written_whole
from ilvr_latent.pictures.images import save_png, to_images
from ilvr_latent.pictures.sheet import Column, contact_sheet
from ilvr_latent.upscaling import FACTOR, FACTOR_OF_LATENTS, enlarged

from . import measures
from .models import Latents, Model, Pixels, StandIn
from .pictures import Pictures, emoji, photographs
from .ways import (
    BLENDED,
    FALLING,
    HELD,
    ITS_PART,
    PLAIN,
    STAYING,
    THE_WHOLE,
    WINDOWS,
    Way,
    drawn,
    of_cells,
)

SHOWN = 4
DENOISE = 0.75
COLUMNS = (
    "",
    "windows",
    "seam",
    "elsewhere",
    "KID of windows (ImageNet)",
    "KID of wholes (embedded)",
    "fine power",
    "off the small one",
)


@dataclass(frozen=True)
class Case:
    """A model, a scale, pictures, and the ways that they are drawn in."""

    ways: Sequence[Way]
    model: Callable[[Pictures], Model]
    pictures: Callable[[int, int, int], Pictures]
    side: int
    scale: int
    count: int
    denoise: float = DENOISE
    factor: float = FACTOR


def _stand_in(pictures: Pictures) -> Model:
    return StandIn(of_256())


TILED = (PLAIN, THE_WHOLE, ITS_PART)
CASES = {
    "pixels, 64 to 128": Case(
        (*TILED, WINDOWS, BLENDED, HELD, FALLING, STAYING), lambda _: Pixels(), emoji, 64, 2, 12
    ),
    "pixels, 64 to 256": Case((PLAIN, BLENDED, HELD), lambda _: Pixels(), emoji, 64, 4, 2),
    "latents, 128 to 256": Case(
        (*TILED, WINDOWS, BLENDED, HELD, of_cells(0.75), of_cells(1.0)),
        lambda given: Latents(given.prompts), emoji, 128, 2, 12, factor=FACTOR_OF_LATENTS,
    ),
    "photographs, 256 to 512": Case(
        (PLAIN, THE_WHOLE, BLENDED, HELD), _stand_in, photographs, 256, 2, 4
    ),
}  # fmt: skip


def main() -> None:
    """Measure row by row."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, help="a folder")
    parser.add_argument("--only", nargs="+", default=[""], help="how names of cases begin")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = output_folder(options.output)
    with torch.inference_mode():
        for name, case in CASES.items():
            if name.startswith(tuple(options.only)):
                _case(name, case, folder)


def _case(name: str, case: Case, folder: Path) -> None:
    path = folder / f"{name.replace(', ', '-').replace(' ', '-')}.md"
    large = case.side * case.scale
    pictures = case.pictures(case.side, large, case.count)
    model = case.model(pictures)
    lines = [f"## {name}", "", _row(COLUMNS), "|---" * len(COLUMNS) + "|"]
    shown: dict[str, Tensor] = {}
    for label, windows, made, tiles in _made(model, pictures, case, path):
        lines.append(_row([label, windows, *_measured(made, pictures, case, tiles, model.cell)]))
        shown[label] = made
        with written_whole(path) as partial:
            partial.write_text("\n".join(lines) + "\n")
        print(lines[-1], flush=True)
    rows = [to_images(made[:SHOWN]) for made in shown.values()]
    sheet = contact_sheet(rows, [Column("") for _ in rows[0]], row_labels=list(shown), cell=large)
    save_png(sheet, path.with_suffix(".png"))


def _made(
    model: Model, pictures: Pictures, case: Case, path: Path
) -> Iterator[tuple[str, str, Tensor, Tiles]]:
    """Each way's name, windows of a step, pictures, and tiles in pixels."""
    side = case.side
    windows = Tiles(side, side)
    yield "the true pictures", "", pictures.large, windows
    yield "enlarged (cubic)", "", _enlarged(pictures), windows
    for place, way in enumerate(case.ways):
        tiles = Tiles(side, side, way.overlap)
        # What an earlier run has drawn is measured again, and not drawn.
        kept = path.with_suffix(f".{place}.safetensors")
        if not kept.is_file():
            made = drawn(model, pictures.small, case.scale, way, case.denoise, case.factor)
            with written_whole(kept) as partial:
                save_file({"made": made.contiguous()}, partial)
        made = load_file(kept)["made"]
        yield way.name, str(len(tiles.places(made.shape))), made, tiles


@lru_cache(1)
def _enlarged(pictures: Pictures) -> Tensor:
    return enlarged(pictures.small, pictures.large.shape[-2:]).clamp(-1, 1)


def _measured(made: Tensor, pictures: Pictures, case: Case, tiles: Tiles, cell: int) -> list[str]:
    truth, large = pictures.large, _enlarged(pictures)
    of_emoji = bool(pictures.prompts[0])
    whole = load_feature_network(), load_embedded_domain()
    # Of nothing added there is no seam.
    seam = None if made is large else measures.seam(made, large, tiles, cell * case.scale)
    return [
        "" if seam is None else f"{seam.here:.2f} ± {seam.error:.2f}",
        "" if seam is None else f"{seam.elsewhere:.2f}",
        f"{measures.kid_of_crops(made, truth, case.side, load_imagenet_network()):.3f}",
        f"{measures.kid_of_wholes(made, *whole):.2f}" if of_emoji else "",
        f"{measures.fine_power(made, truth, case.scale):.2f}",
        f"{measures.off_the_small(made, large, case.scale):.1f}",
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
