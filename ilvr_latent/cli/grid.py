"""``ilvr grid``: one reference, sampled over any two settings, on one labelled sheet."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from ..defaults import NODE_FACTOR
from ..pictures.axis import Axis, check_apart, parse_axis
from ..pictures.files import output_folder
from ..pictures.images import find_one_image, fit_to, save_png, to_images, to_tensor
from ..pictures.sheet import grid_sheet
from . import options as table
from .batches import batches, pictures_at_a_time
from .common import check_counts, choose_device, output_png, progress, report
from .maker import load_maker
from .making import PictureMaker, matched_part
from .options import axes
from .settings import Settings
from .similarity import HELP, check_similarity, take_similarity

EXAMPLE = (
    "ilvr grid --reference apple.png --rows factor=2,4,8 --columns end=1,0.5,0.25 --output grid.png"
)
SMALLEST_CELL, LARGEST_CELL = 128, 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("--reference", required=True, metavar="PATH", help="one picture")
    columns_help = (
        "what varies from column to column; values that have commas go between bars: "
        f"'prompt=tea, hot|bread'. One of {', '.join(axes())}"
    )
    add("--columns", required=True, metavar="NAME=A,B", help=columns_help)
    add("--rows", default="", metavar="NAME=A,B", help="what varies from row to row")
    factor_help = f"larger leaves more to the model ({NODE_FACTOR:g})"
    add("--factor", type=float, metavar="N", help=factor_help)
    add("--similarity", type=float, metavar="S", help=HELP)
    add("--seed", type=int, default=0)
    add("--output", type=Path, required=True, metavar="PNG")
    add("--cells", type=Path, metavar="DIR", help="write every picture there, too")
    table.add_arguments(parser)


@dataclass(frozen=True)
class Cell:
    """One picture of the grid.

    Attributes:
        row: of the sheet.
        column: of the sheet.
        options: the command's, with those of the axes in their place.
        settings: what the options say.
    """

    row: int
    column: int
    options: argparse.Namespace
    settings: Settings


def run(options: argparse.Namespace) -> None:
    """Check every cell, then sample batch by batch and write the sheet."""
    check_counts(options, "batch_size")
    rows, columns = (parse_axis(text, axes()) for text in (options.rows, options.columns))
    check_apart(rows, columns)
    cells = [
        _cell(options, rows, columns, *place)
        for place in itertools.product(range(len(rows)), range(len(columns)))
    ]
    path, picture = find_one_image(options.reference)
    output_png(options.output)
    if options.cells is not None:
        output_folder(options.cells)

    maker = load_maker(cells[0].settings)
    cells = [_with_similarity(cell, maker) for cell in cells]
    reference = to_tensor(fit_to(picture, maker.size, options.fit))
    for chosen in dict.fromkeys(cell.settings for cell in cells):
        maker.check(reference, chosen)

    made: dict[tuple[int, int], Image.Image] = {}
    files: list[str] = []
    size = pictures_at_a_time(options.batch_size, maker.size, choose_device(options.device))
    together = list(batches(cells, lambda cell: cell.settings, maker, size))
    with progress("sampling", sum(maker.calls(b[0].settings) for b in together)) as advance:
        for batch in together:
            seeds = [cell.options.seed for cell in batch]
            own = [cell.settings for cell in batch]
            results = maker.make(reference, own, seeds, advance)
            for cell, result in zip(batch, results, strict=True):
                made[cell.row, cell.column] = result
                if options.cells is not None:
                    files.append(_write(options.cells, cell, result, path))
    sheet = _sheet(rows, columns, cells, made, reference, maker)
    record = _record(options, cells[0].settings, path, rows, columns)
    save_png(sheet, options.output, record)
    report(
        options.json,
        {"sheet": str(options.output), "files": files, **record},
        f"{len(rows)} x {len(columns)} pictures in {options.output}",
    )


def _cell(options: argparse.Namespace, rows: Axis, columns: Axis, row: int, column: int) -> Cell:
    """As if the command had been given the values of this place as options."""
    changed = rows.changes(row) | columns.changes(column)
    own = argparse.Namespace(**vars(options) | changed)
    check_similarity(own)
    own.factor = NODE_FACTOR if own.factor is None else own.factor
    return Cell(row, column, own, Settings.of(own, own.factor))


def _with_similarity(cell: Cell, maker: PictureMaker) -> Cell:
    """With what a similarity stands for on this model, where there is one."""
    if cell.options.similarity is None:
        return cell
    cell.options.factor = take_similarity(cell.options, maker)
    return replace(cell, settings=Settings.of(cell.options, cell.options.factor))


def _record(
    options: argparse.Namespace, first: Settings, path: Path, rows: Axis, columns: Axis
) -> dict[str, object]:
    """What is the same for all cells, and what varies: of that, the first cell has its own."""
    own = {"reference": path.name, "factor": first.factor, "seed": options.seed}
    varied_names = {rows.name, columns.name}
    varied = {
        side: {"name": axis.name, "values": axis.values}
        for side, axis in (("rows", rows), ("columns", columns))
        if axis.name
    }
    written = {name: value for name, value in first.written().items() if name not in varied_names}
    return {"settings": written | own, **varied}


def _write(folder: Path, cell: Cell, picture: Image.Image, reference: Path) -> str:
    path = folder / f"row{cell.row + 1}_column{cell.column + 1}.png"
    own = {"reference": reference.name, "factor": cell.options.factor, "seed": cell.options.seed}
    if cell.options.similarity is not None:
        own["similarity"] = cell.options.similarity
    save_png(picture, path, cell.settings.written() | own)
    return str(path)


def _sheet(
    rows: Axis,
    columns: Axis,
    cells: list[Cell],
    made: dict[tuple[int, int], Image.Image],
    reference: Tensor,
    maker: PictureMaker,
) -> Image.Image:
    """The reference, what of it is matched where that is the same along a row, and the cells."""
    pictures = [[made[row, column] for column in range(len(columns))] for row in range(len(rows))]
    shown = to_images(reference)[0]
    leading: dict[str, Sequence[Image.Image | None]] = {
        "reference": [shown, *[None] * (len(rows) - 1)]
    }
    if columns.name not in ("factor", "kernel", "band", "similarity"):
        firsts = [cell.settings for cell in cells if cell.column == 0]
        leading["matched"] = _matched(firsts, reference, maker)
    side = min(max(*maker.size, SMALLEST_CELL), LARGEST_CELL)
    return grid_sheet(rows, columns, pictures, leading, cell=side)


def _matched(
    firsts: list[Settings], reference: Tensor, maker: PictureMaker
) -> list[Image.Image | None]:
    """The held band of each row; nothing where it is that of the row above."""
    shown: list[Image.Image | None] = []
    before = None
    for chosen in firsts:
        this = chosen.factor, chosen.kernel, chosen.band
        shown.append(None if this == before else matched_part(maker, reference, *this)[0])
        before = this
    return shown
