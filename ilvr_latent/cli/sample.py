"""``ilvr sample``: pictures from references."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from PIL import Image
from torch import Tensor

from .. import __version__
from ..errors import InputError
from ..files import output_folder
from ..images import Fit, find_images, fit_to, read_image, save_png, to_images, to_tensor
from ..lowpass import Kernel, LowPass
from ..reverse import Variance
from ..sheet import Column, contact_sheet
from ..weight import WeightSchedule, parse_weight
from ..window import Window
from . import pipeline_pictures
from .common import DTYPES, choose_device, progress, report
from .pictures import ADMPictures, PictureMaker
from .pipeline_pictures import PipelinePictures

HELP = "Make pictures that keep a reference's layout and colours (ILVR)."
EXAMPLE = "ilvr sample --model embedded --reference apple.png --factor 4 8 --samples 4 --output out"
ROWS_OF_A_SHEET = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("--model", help="'embedded' (default) or a guided-diffusion checkpoint")
    flag_help = "a flag the checkpoint can't tell, such as num_head_channels=64; may be repeated"
    add("--flag", action="append", default=[], metavar="NAME=VALUE", help=flag_help)
    add("--reference", nargs="+", required=True, metavar="PATH", help="pictures, folders or globs")
    add("--fit", choices=get_args(Fit), default="crop", help="how a reference fills the frame")
    factor_help = "N: larger leaves more to the model; several make several sets"
    add("--factor", nargs="+", type=float, required=True, metavar="N", help=factor_help)
    add("--kernel", choices=get_args(Kernel), default="cubic", help="of the low-pass filter")
    weight_help = "0 (off) to 1 (the paper), or points over the window: 0:1,0.5:0.8,1:0"
    add("--weight", default="1", help=weight_help)
    add("--start", type=float, help="where matching starts, 0 (default) = noisiest")
    add("--end", type=float, help="where it ends, 1 (default) = the finished picture")
    window = parser.add_mutually_exclusive_group()
    timestep_help = "the window in timesteps, as the paper says it: 1000 200"
    window.add_argument(
        "--timestep-range", nargs=2, type=int, metavar=("HI", "LO"), help=timestep_help
    )
    step_help = "the window in sampling steps, from 0"
    window.add_argument(
        "--step-range", nargs=2, type=int, metavar=("FIRST", "LAST"), help=step_help
    )
    add("--steps", default="50", help="network calls: 50, ddim25, or 10,10,5")
    add("--sampler", choices=("ddpm", "ddim"), default="ddpm")
    add("--eta", type=float, default=1.0, help="noise of ddim, 0 to 1")
    variances = ("auto", *get_args(Variance))
    add("--variance", choices=variances, default="auto", help="of ddpm; auto: learned if it can")
    add("--space", choices=("state", "prediction"), default="state", help="what is matched")
    add("--samples", type=int, default=1, metavar="K", help="pictures for each reference and N")
    add("--batch-size", type=int, default=8, metavar="B", help="pictures at a time")
    add("--seed", type=int, default=0, help="sample k uses seed + k, whatever the batch size")
    add("--class-label", type=int, help="for class-conditional models")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add("--dtype", choices=("auto", *DTYPES), default="auto")
    add("--output", type=Path, required=True, metavar="DIR")
    add("--json", action="store_true", help="print one JSON object")
    pipeline_pictures.add_arguments(parser)


@dataclass(frozen=True)
class Job:
    """One picture to make."""

    reference: int
    factor: float
    k: int


def run(options: argparse.Namespace) -> None:
    """Check everything, then sample batch by batch, writing each picture when it is done."""
    window = _window(options)
    weight = parse_weight(options.weight)
    for name in ("samples", "batch_size"):
        if getattr(options, name) < 1:
            flag = name.replace("_", "-")
            raise InputError(f"--{flag} is {getattr(options, name)}; use 1 or more.")
    options.factor = list(dict.fromkeys(options.factor))
    for factor in options.factor:
        LowPass(factor, options.kernel)
    paths = find_images(options.reference)
    pictures = [read_image(path) for path in paths]
    output_folder(options.output)

    maker = _maker(options, window, weight)
    references = torch.cat([to_tensor(fit_to(p, maker.size, options.fit)) for p in pictures])
    maker.check(references, options.factor[0])

    names = _unique_names(paths)
    made: dict[Job, Image.Image] = {}
    files: list[str] = []
    batches = list(_batches(options, len(paths)))
    with progress("sampling", maker.calls * len(batches)) as advance:
        for batch in batches:
            of_batch = references[[job.reference for job in batch]]
            seeds = [options.seed + job.k for job in batch]
            results = maker.make(of_batch, batch[0].factor, seeds, advance)
            for job, picture in zip(batch, results, strict=True):
                made[job] = picture
                name = f"{names[job.reference]}_N{job.factor:g}_seed{options.seed + job.k}.png"
                save_png(picture, options.output / name, _settings(options, paths, job))
                files.append(str(options.output / name))
    sheets = _write_sheets(options, references, names, made, maker.cell)
    report(
        options.json,
        {"files": files, "sheets": sheets, "settings": _settings(options, paths, None)},
        f"{len(files)} pictures and {', '.join(sheets)} in {options.output}",
    )


def _window(options: argparse.Namespace) -> Window:
    fraction = {n: getattr(options, n) for n in ("start", "end") if getattr(options, n) is not None}
    other = "timestep-range" if options.timestep_range is not None else "step-range"
    if fraction and (options.timestep_range or options.step_range):
        raise InputError(
            f"--{next(iter(fraction))} and --{other} both say when to match; leave one of them out."
        )
    if options.timestep_range is not None:
        return Window.timesteps(*options.timestep_range)
    if options.step_range is not None:
        return Window.steps(*options.step_range)
    return Window(**fraction)


def _maker(
    options: argparse.Namespace, window: Window, weight: float | WeightSchedule
) -> PictureMaker:
    given = [name for name in pipeline_pictures.OPTIONS if getattr(options, name) is not None]
    if options.pipeline is None and given:
        raise InputError(f"--{given[0].replace('_', '-')} belongs to --pipeline; give one.")
    own: dict[str, object] = {
        "model": None, "flag": [], "class_label": None, "variance": "auto", "sampler": "ddpm",
    }  # fmt: skip
    changed = [name for name, default in own.items() if getattr(options, name) != default]
    if options.pipeline is not None and changed:
        option = f"--{changed[0].replace('_', '-')}"
        raise InputError(
            f"{option} is for guided-diffusion checkpoints and --pipeline is another model; "
            "leave one of them out."
        )
    if options.pipeline is None:
        options.model = options.model or "embedded"
    device = choose_device(options.device)
    kind = ADMPictures if options.pipeline is None else PipelinePictures
    return kind(options, window, weight, device)


def _batches(options: argparse.Namespace, references: int) -> Iterator[list[Job]]:
    for factor in options.factor:
        jobs = (Job(r, factor, k) for r in range(references) for k in range(options.samples))
        while batch := list(itertools.islice(jobs, options.batch_size)):
            yield batch


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """File names without their ending; a number is added where two would be the same."""
    names: list[str] = []
    for path in paths:
        candidates = itertools.chain([path.stem], (f"{path.stem}-{n}" for n in itertools.count(2)))
        names.append(next(name for name in candidates if name not in names))
    return names


def _settings(
    options: argparse.Namespace, paths: Sequence[Path], job: Job | None
) -> dict[str, object]:
    kept = ["fit", "kernel", "steps", "space"]
    if options.pipeline is None:
        kept += ["model", "flag", "sampler", "eta", "variance", "class_label"]
    else:
        kept += ["pipeline", *pipeline_pictures.OPTIONS]
    settings: dict[str, object] = {"ilvr": __version__}
    settings |= {name: getattr(options, name) for name in kept}
    weight = parse_weight(options.weight)
    settings["weight"] = weight if isinstance(weight, float) else str(weight)
    settings["window"] = dataclasses.asdict(_window(options))
    if job is None:
        return settings | {"factor": options.factor, "seed": options.seed}
    return settings | {
        "reference": paths[job.reference].name,
        "factor": job.factor,
        "seed": options.seed + job.k,
    }


def _write_sheets(
    options: argparse.Namespace,
    references: Tensor,
    names: Sequence[str],
    made: dict[Job, Image.Image],
    cell: int,
) -> list[str]:
    """Contact sheets of reference, low-pass and samples, a row for each reference."""
    columns = [Column("reference")]
    for factor in options.factor:
        columns.append(Column("low-pass", gap=20, group=f"N = {factor:g}"))
        columns += [
            Column(f"seed {options.seed + k}", group=f"N = {factor:g}")
            for k in range(options.samples)
        ]
    rows: list[list[Image.Image | None]] = []
    for r in range(len(names)):
        row: list[Image.Image | None] = list(to_images(references[r : r + 1]))
        for factor in options.factor:
            lowpass = LowPass(factor * cell, options.kernel)
            row += to_images(lowpass(references[r : r + 1]))
            row += [made[Job(r, factor, k)] for k in range(options.samples)]
        rows.append(row)
    written = []
    for n, start in enumerate(range(0, len(rows), ROWS_OF_A_SHEET)):
        chunk = slice(start, start + ROWS_OF_A_SHEET)
        path = options.output / ("sheet.png" if n == 0 else f"sheet-{n + 1}.png")
        save_png(contact_sheet(rows[chunk], columns, row_labels=names[chunk]), path)
        written.append(str(path))
    return written
