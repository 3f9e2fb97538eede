"""``ilvr sample``: pictures from references."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import torch
from PIL import Image
from torch import Tensor

from .. import __version__
from ..adm import load_adm
from ..embedded import PIXEL_MODEL
from ..errors import InputError
from ..files import output_folder
from ..images import Fit, find_images, fit_to, read_image, save_png, to_images, to_tensor
from ..lowpass import Kernel, LowPass
from ..reference import Reference
from ..reverse import Variance
from ..sampling import sample
from ..schedule import Schedule
from ..sheet import Column, contact_sheet
from ..weight import parse_weight
from ..window import Window
from .common import DTYPES, choose_device, choose_dtype, progress, report

if TYPE_CHECKING:
    from ..adm.unet import ADM

HELP = "Make pictures that keep a reference's layout and colours (ILVR)."
EXAMPLE = "ilvr sample --model embedded --reference apple.png --factor 4 8 --samples 4 --output out"
ROWS_OF_A_SHEET = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("--model", default="embedded", help="'embedded' or a guided-diffusion checkpoint")
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


def parse_flags(pairs: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE pairs as a dict.

    Raises:
        InputError: a pair has no '='.
    """
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--flag is {pair!r}; write NAME=VALUE, such as num_heads=4.")
    return dict(pair.split("=", 1) for pair in pairs)


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

    device = choose_device(options.device)
    model = _load(options, device)
    side = model.config.image_size
    references = torch.cat([to_tensor(fit_to(p, (side, side), options.fit)) for p in pictures])
    schedule = Schedule(model.config.noise_schedule, model.config.diffusion_steps, options.steps)
    Reference(references, options.factor[0], window, weight).matched_steps(schedule)

    names = _unique_names(paths)
    made: dict[Job, Image.Image] = {}
    files: list[str] = []
    batches = list(_batches(options, len(paths)))
    with progress("sampling", len(schedule) * len(batches)) as advance:
        for batch in batches:
            x = sample(
                model,
                Reference(
                    references[[job.reference for job in batch]],
                    batch[0].factor,
                    window=window,
                    weight=weight,
                    kernel=options.kernel,
                ),
                steps=options.steps,
                sampler=options.sampler,
                eta=options.eta,
                variance=None if options.variance == "auto" else options.variance,
                space=options.space,
                class_labels=options.class_label,
                seed=[options.seed + job.k for job in batch],
                callback=lambda step, x: advance(),
            )
            for job, picture in zip(batch, to_images(x), strict=True):
                made[job] = picture
                name = f"{names[job.reference]}_N{job.factor:g}_seed{options.seed + job.k}.png"
                save_png(picture, options.output / name, _settings(options, paths, job))
                files.append(str(options.output / name))
    sheets = _write_sheets(options, references, names, made)
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


def _load(options: argparse.Namespace, device: torch.device) -> ADM:
    path = PIXEL_MODEL if options.model == "embedded" else options.model
    dtype = choose_dtype(options.dtype, device)
    return load_adm(path, device=device, dtype=dtype, **parse_flags(options.flag))


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
    kept = (
        *("model", "flag", "fit", "kernel", "steps", "sampler", "eta", "variance"),
        *("space", "class_label"),
    )
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
            row += to_images(LowPass(factor, options.kernel)(references[r : r + 1]))
            row += [made[Job(r, factor, k)] for k in range(options.samples)]
        rows.append(row)
    written = []
    for n, start in enumerate(range(0, len(rows), ROWS_OF_A_SHEET)):
        chunk = slice(start, start + ROWS_OF_A_SHEET)
        path = options.output / ("sheet.png" if n == 0 else f"sheet-{n + 1}.png")
        save_png(contact_sheet(rows[chunk], columns, row_labels=names[chunk]), path)
        written.append(str(path))
    return written
