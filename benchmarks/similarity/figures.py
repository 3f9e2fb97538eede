"""The two figures: measured against asked for, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from ilvr_latent.pictures.images import to_images
from ilvr_latent.pictures.plot import BLUE, FAINT, GREEN, ORANGE, PURPLE, Line, Scale, line_plot
from ilvr_latent.pictures.sheet import Column, contact_sheet
from ilvr_latent.similarity import dial

from .models import Model
from .pictures import references

COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
# Of the references that check: the pumpkin.
SHOWN, SEED = 1, 2001
ASKED = (0, 10, 30, 50, 70, 90, 100)
CELL = 96


def draw_curves(found: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """Similarities asked for (x) and measured (y), a line for each model.

    Args:
        found: of each model, by the size of its cells.
        path: a PNG file.
    """
    whole = (0.0, *(float(asked) for asked in ASKED[1:-1]), 100.0)
    lines = [Line("asked for", [(s, s) for s in whole], FAINT)]
    for (name, points), colour in zip(found.items(), COLOURS, strict=True):
        dots = frozenset(float(s) for s, _ in points)
        lines.append(Line(_title(int(name)), [(float(s), m) for s, m in points], colour, dots))
    plot = line_plot(
        lines, Scale("similarity asked for"), Scale("measured, mean of two networks"),
        title="References that it was not calibrated on", size=(760, 400),
    )  # fmt: skip
    plot.quantize(64).save(path, optimize=True)


def draw_pictures(models: Sequence[Model], path: Path) -> None:
    """One reference over the dial, a row for each model."""
    rows: list[list[Image.Image | None]] = []
    for model in models:
        y_0 = references("check", model.side)[SHOWN : SHOWN + 1]
        made = [model.made(y_0, dial(s, model.cell), [SEED]) for s in ASKED]
        rows.append([picture for x in (y_0, *made) for picture in to_images(x)])
        rows[-1] = [_small(picture) for picture in rows[-1]]
    columns = [Column("reference")]
    columns += [Column(f"{s}", gap=20 if s == 0 else 6, group="similarity") for s in ASKED]
    labels = [_title(model.cell) for model in models]
    contact_sheet(rows, columns, row_labels=labels, cell=CELL).save(
        path, quality=88, optimize=True, progressive=True
    )


def _small(picture: Image.Image | None) -> Image.Image | None:
    if picture is None or picture.width <= CELL:
        return picture
    return picture.resize((CELL, CELL), Image.Resampling.LANCZOS)


def _title(cell: int) -> str:
    return "pixels" if cell == 1 else f"cells of {cell}"
