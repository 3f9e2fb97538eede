"""``ilvr sample``: pictures from references."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..guides.picture_match import lowpass_of, match_picture
from ..methods import WITH_FACTOR
from ..pictures.files import name_for_results, output_folder
from ..pictures.images import find_images, fit_to, read_image, save_png, to_images, to_tensor
from ..pictures.sheet import Column, contact_sheet
from . import options as table
from .batches import batches, pictures_at_a_time
from .common import check_counts, choose_device, progress, report
from .maker import load_maker
from .making import PictureMaker, matched_part
from .settings import Settings
from .similarity import HELP, check_similarity, take_similarity
from .translation import (
    add_what_is_followed,
    chosen_factors,
    file_name,
    label,
    read_recipe,
    written_of_all,
    written_of_one,
)

EXAMPLE = "ilvr sample --model embedded --reference apple.png --factor 4 8 --samples 4 --output out"
ROWS_OF_A_SHEET = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("--reference", nargs="+", required=True, metavar="PATH", help="pictures, folders or globs")
    add_what_is_followed(parser)
    add("--similarity", type=float, metavar="S", help=HELP)
    add("--samples", type=int, default=1, metavar="K", help="pictures for each reference and N")
    add("--seed", type=int, default=0, help="sample k uses seed + k, whatever the batch size")
    match_help = "then hold each finished picture's colours: a share of its side, such as 0.25"
    add("--match-picture", type=float, metavar="SHARE", help=match_help)
    add("--output", type=Path, required=True, metavar="DIR")
    table.add_arguments(parser)


@dataclass(frozen=True)
class Job:
    """One picture to make; the factor says nothing where the method has none."""

    reference: int
    factor: float
    k: int


def run(options: argparse.Namespace) -> None:
    """Check everything, then sample batch by batch, writing each picture when it is done."""
    check_counts(options, "samples", "batch_size")
    check_similarity(options)
    if options.similarity is None:
        read_recipe(options)
    settings = Settings.of(options, 1.0)
    paths = find_images(options.reference)
    pictures = [read_image(path) for path in paths]
    output_folder(options.output)

    maker = load_maker(settings)
    references = torch.cat([to_tensor(fit_to(p, maker.size, options.fit)) for p in pictures])
    if options.similarity is None:
        options.factor = chosen_factors(options, maker)
    else:
        options.factor = [take_similarity(options, maker)]
    chosen = {factor: Settings.of(options, factor) for factor in options.factor}
    first = chosen[options.factor[0]]
    maker.check(references, first)
    if options.match_picture is not None:
        lowpass_of(options.match_picture, "share", options.kernel, references)

    names = _unique_names(paths)
    made: dict[Job, Image.Image] = {}
    files: list[str] = []
    size = pictures_at_a_time(options.batch_size, maker.size, choose_device(options.device))
    places = itertools.product(options.factor, range(len(paths)), range(options.samples))
    jobs = [Job(reference, factor, k) for factor, reference, k in places]
    together = list(batches(jobs, lambda job: chosen[job.factor], maker, size))
    with progress("sampling", maker.calls(first) * len(together)) as advance:
        for batch in together:
            of_batch = references[[job.reference for job in batch]]
            seeds = [options.seed + job.k for job in batch]
            own = [chosen[job.factor] for job in batch]
            results = maker.make(of_batch, own, seeds, advance)
            for job, picture in zip(batch, results, strict=True):
                picture = _matched(picture, references[job.reference], maker, options)
                made[job] = picture
                seed = options.seed + job.k
                stem, how = names[job.reference], (options.method, job.factor)
                name = file_name(stem, *how, seed, options.similarity)
                save_png(picture, options.output / name, _settings(options, paths, job))
                files.append(str(options.output / name))
    sheets = _write_sheets(options, references, names, made, maker)
    report(
        options.json,
        {"files": files, "sheets": sheets, "settings": _settings(options, paths, None)},
        f"{len(files)} pictures and {', '.join(sheets)} in {options.output}",
    )


def _matched(
    picture: Image.Image, reference: Tensor, maker: PictureMaker, options: argparse.Namespace
) -> Image.Image:
    """A finished picture in the colours of its reference, where that is asked for."""
    share: float | None = options.match_picture
    if share is None:
        return picture
    x, mask = to_tensor(picture), maker.mask
    matched = match_picture(
        x, reference[None], share, options.kernel, factor_unit="share", mask=mask
    )
    return to_images(matched)[0]


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
    names = ("match_picture", "similarity")
    also = {name: value for name in names if (value := getattr(options, name)) is not None}
    if job is None:
        of_all = {"factor": options.factor, "seed": options.seed}
        return written_of_all(options) | also | of_all
    seed = options.seed + job.k
    return written_of_one(options, paths[job.reference].name, job.factor, seed) | also


def _write_sheets(
    options: argparse.Namespace,
    references: Tensor,
    names: Sequence[str],
    made: dict[Job, Image.Image],
    maker: PictureMaker,
) -> list[str]:
    """Contact sheets of reference, low-pass and samples, a row for each reference."""
    held = "low-pass" if options.band == "coarse" else f"{options.band} band"
    columns, with_factor = [Column("reference")], options.method in WITH_FACTOR
    for factor in options.factor:
        group = label(options.method, factor, options.similarity)
        if with_factor:
            columns.append(Column(held, gap=20, group=group))
        columns += [
            Column(f"seed {options.seed + k}", gap=6 if k or with_factor else 20, group=group)
            for k in range(options.samples)
        ]
    rows: list[list[Image.Image | None]] = []
    for r in range(len(names)):
        row: list[Image.Image | None] = list(to_images(references[r : r + 1]))
        for factor in options.factor:
            if with_factor:
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
