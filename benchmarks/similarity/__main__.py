"""The dial's table, its check, and the figures of docs/similarity.md, in one command.

    python -m benchmarks.similarity --output DIR

Measured values are kept in DIR and not measured again. Writes the table into the package
(``ilvr_latent/assets/similarity.json``) and the pictures into the docs, and prints the check. Needs
the extra ``imagenet``, scikit-image, the autoencoder of FLUX.2's latents and the training pictures
(``python -m training.data``).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch

from ilvr_latent.similarity import (
    FIRST_SHARE,
    LAST,
    TABLE,
    WHOLE_WEIGHT,
    at_position,
    dial,
    measured,
)

from .figures import draw_curves, draw_pictures
from .measure import Bench, Found, Point, inverted
from .models import CALIBRATED, MODELS

# By the side in cells, until N is a single one. Where phi has few cells along the side, S is a
# staircase: up to 2.6 these lie in the middle of the stretches at which it has so many.
BEFORE_ONE_CELL = {
    8: (0.25, 0.4, 0.55, 0.7, 1.0, 1.45, 1.85, 2.15, 2.4),
    16: (0.25, 0.4, 0.55, 0.7, 1.0, 1.45, 2.15, 2.6, 3.0, 3.55),
    64: (0.25, 0.4, 0.55, 0.7, 1.0, 1.45, 2.15, 3.0, 3.55, 4.2, 5.0),
}
# From there on, with the end alone to move, the first two: between the steps of the sampler.
OF_ONE_CELL = (3.5, 4.5, 5.5, 6.5)
STORED, CHECKED = range(0, 101, 5), (10, 30, 50, 70, 90)
IMAGES = Path(__file__).parents[2] / "docs" / "images"
Checked = list[tuple[int, Found]]


def calibrated(bench: Bench, name: str) -> list[Point]:
    """(similarity, position) of a model, by its calibration references."""
    model = bench.model(name)
    points = [
        (p, bench.found(name, "calibrate", at_position(p)).similarity)
        for p in positions(model.side // model.cell)
    ]
    return inverted([*points, (LAST, 100.0)], STORED)


def positions(side: int) -> list[float]:
    """Which are measured.

    Args:
        side: of what is sampled, in cells.
    """
    one_cell = round(WHOLE_WEIGHT + math.log2(FIRST_SHARE * side), 3)
    after = [p for p in OF_ONE_CELL if p > one_cell][:2]
    return [*BEFORE_ONE_CELL[side], one_cell, *after]


def checked(bench: Bench, name: str) -> Checked:
    """Each similarity that is asked for, and what the other references have, by each network."""
    model = bench.model(name)
    side = model.side // model.cell
    found = []
    for similarity in CHECKED:
        chosen = dial(similarity, model.cell, side)
        found.append((similarity, bench.found(name, "check", chosen)))
    return found


def write(bench: Bench, tables: dict[str, list[Point]]) -> None:
    """Put the tables where the dial reads them."""
    models = {name: bench.model(name) for name in tables}
    stored = {
        name: {"side": models[name].side // models[name].cell, "positions": table}
        for name, table in tables.items()
    }
    TABLE.write_text(json.dumps(stored) + "\n", encoding="utf-8")
    measured.cache_clear()


def main() -> None:
    """Measure, write, draw and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.similarity", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="keeps what was measured")
    parser.add_argument("--models", nargs="+", choices=MODELS, help="print the check of these only")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    bench, names = Bench(options.output / "measured.json"), options.models or list(MODELS)
    if options.models is None:
        write(bench, {name: calibrated(bench, name) for name in CALIBRATED})
    found = {name: checked(bench, name) for name in names}
    for name, rows in found.items():
        print(f"| {name} | {' | '.join(map(_cell, rows))} |")
    if options.models is None:
        curves = {name: [(s, one.similarity) for s, one in found[name]] for name in CALIBRATED}
        draw_curves(curves, IMAGES / "similarity-curves.png")
        draw_pictures([bench.model(name) for name in CALIBRATED], IMAGES / "similarity.jpg")


def _cell(row: tuple[int, Found]) -> str:
    """The mean of both networks and its error, each of them, and to the references themselves."""
    found = row[1]
    first, second, *unseen = found.similarities
    whole = sum(unseen) / len(unseen)
    mean = f"**{found.similarity:.0f}** ± {found.error:.1f}"
    return f"{mean} ({first:.0f}, {second:.0f}; {whole:.0f})"


if __name__ == "__main__":
    main()
