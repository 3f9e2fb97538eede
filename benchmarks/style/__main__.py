"""Structure of one picture against style of another: tables, curves and pictures.

    python -m benchmarks.style --output DIR [--seeds K]

Needs scikit-image and the extra ``imagenet``; with ``../shared/vae`` there is a table of FLUX.2's
latents too. Six minutes of one idle core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.colours.vae import TinyVAE, is_there
from ilvr_latent.metrics.imagenet import load_imagenet_network
from ilvr_latent.pictures.files import output_folder, written_whole

from .directly import Codec, without_network
from .measures import Measures
from .models import LatentModel, Model, PixelModel
from .pictures import SIDE, layouts_and_styles
from .tables import Record, curves, sheet, tables
from .ways import WAYS


def main() -> None:
    """Measure row by row."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.style",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, help="a folder")
    parser.add_argument("--seeds", type=int, default=1, help="of each pair and value")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder, found = output_folder(options.output), list[Record]()
    with torch.inference_mode():
        measures = Measures(load_imagenet_network())
        for record in records(measures, options.seeds, folder):
            found.append(record)
            with written_whole(folder / "style.json") as partial:
                partial.write_text(json.dumps(found, indent=1))
    (folder / "style.md").write_text(tables(found))
    for k, picture in enumerate(curves(found)):
        picture.save(folder / f"style-curve-{k}.png")


def records(measures: Measures, seeds: int, folder: Path) -> Iterator[Record]:
    """Every row of every table."""
    models: tuple[Model, ...] = (PixelModel(), LatentModel())
    for k, model in enumerate(models):
        yield from of_model(model, measures, seeds, folder / f"style-pictures-{k}.jpg")
    if is_there():
        yield from of_codec(TinyVAE(), measures, folder / "style-latents.jpg")


def of_codec(codec: Codec, measures: Measures, sheet_at: Path) -> Iterator[Record]:
    """The autoencoder of FLUX.2's latents, for which there is no network here."""
    a, b = layouts_and_styles(SIDE)
    ways = without_network(codec, codec.encode(a), codec.encode(b))
    for way, made in ways.items():
        yield record("latents of FLUX.2, 256 pixels", way, "", [made], Pair(a, b), measures)
    sheet({"A": a, "B": b, **ways}).save(sheet_at, quality=85, optimize=True, progressive=True)


def of_model(model: Model, measures: Measures, seeds: int, sheet_at: Path) -> Iterator[Record]:
    """All ways of one model, over their knobs."""
    pair = Pair(*layouts_and_styles(model.side))
    a, b = model.encode(pair.a), model.encode(pair.b)
    shown: dict[str, Tensor] = {"A": pair.a, "B": pair.b}
    for name, made in without_network(model, a, b).items():
        yield record(model.name, name, "", [made], pair, measures)
    for way in WAYS:
        # Less than a cell is no N.
        cells = [value for value in way.values if way.knob != "N" or value * a.shape[-1] >= 1]
        for value in cells:
            begun, setup = time.perf_counter(), way.setup(a, b, value)
            drawn = [model.sampled(setup, a.shape, 100 * seed) for seed in range(seeds)]
            decoded = [model.decode(one).float() for one in drawn]
            seconds = (time.perf_counter() - begun) / (seeds * len(a))
            yield record(model.name, way.name, way.text(value), decoded, pair, measures, seconds)
            if value == way.shown:
                label = way.name.replace(", ", ",\n").replace(" and ", "\nand ")
                shown[f"{label}\n{way.text(value)}"] = decoded[0]
    sheet(shown).save(sheet_at, quality=85, optimize=True, progressive=True)


class Pair(NamedTuple):
    """Layouts and styles, (B, 3, H, W) in [-1, 1]."""

    a: Tensor
    b: Tensor


def record(
    table: str,
    way: str,
    knob: str,
    made: list[Tensor],
    pair: Pair,
    measures: Measures,
    seconds: float | None = None,
) -> Record:
    """How far pictures of all pairs, seed by seed, are from A's structure and B's style."""
    return {
        "table": table,
        "way": way,
        "knob": knob,
        "structure": _mean([measures.structure(x, pair.a) for x in made]),
        "style": _mean([measures.style(x, pair.b) for x in made]),
        "patches": _mean([measures.patches(x, pair.b) for x in made]),
        "seconds": seconds,
    }


def _mean(numbers: list[Tensor]) -> float:
    return float(torch.stack(numbers).mean())


if __name__ == "__main__":
    main()
