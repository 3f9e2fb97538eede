"""``ilvr sample``: pictures from references."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..guides.bands import BANDS
from ..pictures.files import name_for_results, output_folder
from ..pictures.images import find_images, fit_to, read_image, save_png, to_images, to_tensor
from ..pictures.sheet import Column, contact_sheet
from ..recipes import RECIPES, Recipe
from . import options as table
from .common import check_counts, progress, report
from .maker import load_maker
from .making import PictureMaker, matched_part
from .settings import Settings

EXAMPLE = "ilvr sample --model embedded --reference apple.png --factor 4 8 --samples 4 --output out"
ROWS_OF_A_SHEET = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("--reference", nargs="+", required=True, metavar="PATH", help="pictures, folders or globs")
    factor_help = "N: larger leaves more to the model; several make several sets"
    add("--factor", nargs="+", type=float, metavar="N", help=factor_help)
    recipes = "; ".join(f"{recipe.name}: {recipe.purpose}" for recipe in RECIPES.values())
    recipe_help = f"N and range of an application, where they are not given. {recipes}"
    add("--recipe", choices=tuple(RECIPES), metavar="NAME", help=recipe_help)
    add("--samples", type=int, default=1, metavar="K", help="pictures for each reference and N")
    add("--seed", type=int, default=0, help="sample k uses seed + k, whatever the batch size")
    add("--output", type=Path, required=True, metavar="DIR")
    table.add_arguments(parser)


@dataclass(frozen=True)
class Job:
    """One picture to make."""

    reference: int
    factor: float
    k: int


def run(options: argparse.Namespace) -> None:
    """Check everything, then sample batch by batch, writing each picture when it is done."""
    check_counts(options, "samples", "batch_size")
    _read_recipe(options)
    for factor in options.factor or []:
        BANDS[options.band](factor, options.kernel)
    settings = Settings.of(options, 1.0)
    paths = find_images(options.reference)
    pictures = [read_image(path) for path in paths]
    output_folder(options.output)

    maker = load_maker(settings)
    references = torch.cat([to_tensor(fit_to(p, maker.size, options.fit)) for p in pictures])
    if options.factor is None:
        options.factor = RECIPES[options.recipe].factors(min(maker.size) // maker.cell)
    options.factor = list(dict.fromkeys(options.factor))
    chosen = {factor: Settings.of(options, factor) for factor in options.factor}
    first = chosen[options.factor[0]]
    maker.check(references, first)

    names = _unique_names(paths)
    made: dict[Job, Image.Image] = {}
    files: list[str] = []
    batches = list(_batches(options, len(paths)))
    with progress("sampling", maker.calls(first) * len(batches)) as advance:
        for batch in batches:
            of_batch = references[[job.reference for job in batch]]
            seeds = [options.seed + job.k for job in batch]
            results = maker.make(of_batch, chosen[batch[0].factor], seeds, advance)
            for job, picture in zip(batch, results, strict=True):
                made[job] = picture
                name = f"{names[job.reference]}_N{job.factor:g}_seed{options.seed + job.k}.png"
                save_png(picture, options.output / name, _settings(options, paths, job))
                files.append(str(options.output / name))
    sheets = _write_sheets(options, references, names, made, maker)
    report(
        options.json,
        {"files": files, "sheets": sheets, "settings": _settings(options, paths, None)},
        f"{len(files)} pictures and {', '.join(sheets)} in {options.output}",
    )


def _read_recipe(options: argparse.Namespace) -> None:
    """Take the range from the recipe; N is a share of the picture, known with the model."""
    if options.recipe is not None:
        _take_range(RECIPES[options.recipe], options)
    elif options.factor is None:
        raise InputError(
            "There is neither --factor nor --recipe to say what is followed; give one of them, "
            "such as --factor 4."
        )


def _take_range(recipe: Recipe, options: argparse.Namespace) -> None:
    """Take the range from a recipe, unless one was given.

    Raises:
        InputError: the recipe needs a mask and there is none.
    """
    if recipe.masked and options.mask is None:
        raise InputError(
            f"The recipe {recipe.name!r} needs to know what is kept; give it with --mask."
        )
    given = ("start", "end", "timestep_range", "step_range")
    if all(getattr(options, name) is None for name in given):
        options.start, options.end = recipe.window.start, recipe.window.end


def _batches(options: argparse.Namespace, references: int) -> Iterator[list[Job]]:
    for factor in options.factor:
        jobs = (Job(r, factor, k) for r in range(references) for k in range(options.samples))
        while batch := list(itertools.islice(jobs, options.batch_size)):
            yield batch


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """File names without their ending; a number is added where two would be the same."""
    names: list[str] = []
    for path in paths:
        stem = name_for_results(path)
        candidates = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
        names.append(next(name for name in candidates if name not in names))
    return names


def _settings(
    options: argparse.Namespace, paths: Sequence[Path], job: Job | None
) -> dict[str, object]:
    common = Settings.of(options, 1.0).written()
    if options.recipe is not None:
        common["recipe"] = options.recipe
    if job is None:
        return common | {"factor": options.factor, "seed": options.seed}
    return common | {
        "reference": paths[job.reference].name,
        "factor": job.factor,
        "seed": options.seed + job.k,
    }


def _write_sheets(
    options: argparse.Namespace,
    references: Tensor,
    names: Sequence[str],
    made: dict[Job, Image.Image],
    maker: PictureMaker,
) -> list[str]:
    """Contact sheets of reference, low-pass and samples, a row for each reference."""
    held = "low-pass" if options.band == "coarse" else f"{options.band} band"
    columns = [Column("reference")]
    for factor in options.factor:
        columns.append(Column(held, gap=20, group=f"N = {factor:g}"))
        columns += [
            Column(f"seed {options.seed + k}", group=f"N = {factor:g}")
            for k in range(options.samples)
        ]
    rows: list[list[Image.Image | None]] = []
    for r in range(len(names)):
        row: list[Image.Image | None] = list(to_images(references[r : r + 1]))
        for factor in options.factor:
            reference = references[r : r + 1]
            row += matched_part(maker, reference, factor, options.kernel, options.band)
            row += [made[Job(r, factor, k)] for k in range(options.samples)]
        rows.append(row)
    written = []
    for n, start in enumerate(range(0, len(rows), ROWS_OF_A_SHEET)):
        chunk = slice(start, start + ROWS_OF_A_SHEET)
        path = options.output / ("sheet.png" if n == 0 else f"sheet-{n + 1}.png")
        save_png(contact_sheet(rows[chunk], columns, row_labels=names[chunk]), path)
        written.append(str(path))
    return written
