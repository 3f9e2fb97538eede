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
from collections.abc import Sequence
from pathlib import Path

import torch

from ilvr_latent.similarity import LAST, TABLE, at_position, dial, measured

from .figures import draw_curves, draw_pictures
from .measure import Bench, Point, inverted
from .models import CALIBRATED, MODELS

POSITIONS = (
    *(0.4, 1.0, 1.4, 1.75, 2.1, 2.5, 2.75, 3.0, 3.25, 3.5, 3.75),
    *(4.0, 4.5, 5.0, 5.5, 6.0),
)
STORED, CHECKED = range(0, 101, 5), (10, 30, 50, 70, 90)
IMAGES = Path(__file__).parents[2] / "docs" / "images"
Checked = list[tuple[int, list[float]]]


def calibrated(bench: Bench, name: str) -> list[Point]:
    """(similarity, position) of a model, by its calibration references."""
    points = [
        (p, _mean(bench.similarity(name, "calibrate", at_position(p))[:2])) for p in POSITIONS
    ]
    return inverted([*points, (LAST, 100.0)], STORED)


def checked(bench: Bench, name: str) -> Checked:
    """Each similarity that is asked for, and what the other references have, by each network."""
    model = bench.model(name)
    side = model.side // model.cell
    found = []
    for similarity in CHECKED:
        chosen = dial(similarity, model.cell, side)
        found.append((similarity, bench.similarity(name, "check", chosen)))
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


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


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
        curves = {name: [(s, _mean(row[:2])) for s, row in found[name]] for name in CALIBRATED}
        draw_curves(curves, IMAGES / "similarity-curves.png")
        draw_pictures([bench.model(name) for name in CALIBRATED], IMAGES / "similarity.jpg")


def _cell(row: tuple[int, list[float]]) -> str:
    """The mean of both networks, each of them, and the mean to the references themselves."""
    first, second, *unseen = row[1]
    return f"**{(first + second) / 2:.0f}** ({first:.0f}, {second:.0f}; {_mean(unseen):.0f})"


if __name__ == "__main__":
    main()
