"""``ilvr translate``: a whole data set, on all cores or a cluster."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import InputError
from ..evaluation.store import hold_to
from ..pictures.files import output_folder
from . import options as table
from .common import check_counts, choose_dtype, duration, report
from .evaluate_rows import model_digest
from .translation import add_what_is_followed, written_of_all

if TYPE_CHECKING:
    from ..scale.job import Job
    from ..scale.machine import Workers
    from ..scale.source import Source

HELP = "Translate a whole data set, on all cores or a cluster; a rerun does the rest."
EXAMPLE = "ilvr translate drawings/ --recipe translate --output translated"
FORMATS = ("folder", "tar", "parquet")
SHARD_SIZE = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    source_help = "a folder or glob of pictures, Parquet files, WebDataset shards, a CSV or JSONL"
    add("source", metavar="SOURCE", help=source_help)
    add("--output", type=Path, required=True, metavar="DIR", help="where all nodes can write")
    add("--format", choices=FORMATS, default="folder", help="of the results: PNG files, or shards")
    add_what_is_followed(parser)
    add("--samples", type=int, default=1, metavar="K", help="pictures for each row and N")
    add("--seed", type=int, default=0, help="sample k of a row uses the row's seed + k")
    seeds_help = "row: each has its own, drawn from --seed and its key; same: all have --seed"
    add("--seeds", choices=("row", "same"), default="row", help=seeds_help)
    group = parser.add_argument_group("workers")
    group.add_argument("--workers", default="auto", metavar="W", help="auto: one a GPU, or a core")
    gpus_help = "a part of a GPU, such as 0.5, for several workers on one (1)"
    group.add_argument("--gpus-per-worker", type=float, default=1.0, metavar="G", help=gpus_help)
    address_help = "local (a Ray of its own), auto (the one of this machine), or ray://HOST:PORT"
    group.add_argument("--address", default="local", help=address_help)
    shard_help = f"rows of a shard of tar, Parquet, and of the index ({SHARD_SIZE})"
    group.add_argument("--shard-size", type=int, default=SHARD_SIZE, metavar="R", help=shard_help)
    errors_help = "stop when more rows than this could not be translated; default: go on"
    group.add_argument("--max-errors", type=int, metavar="E", help=errors_help)
    dry_help = "measure a few rows, say what all of them will take, and write nothing"
    group.add_argument("--dry-run", action="store_true", help=dry_help)
    table.add_arguments(parser)
    # On a GPU it depends on the memory.
    parser.set_defaults(batch_size=None)


def run(options: argparse.Namespace) -> None:
    """Check everything, then translate what is not translated yet."""
    from ..scale.choices import check_options
    from ..scale.machine import choose_workers, cluster, require_ray
    from ..scale.source import find_source

    check_counts(options, "samples", "shard_size")
    if options.batch_size is not None:
        check_counts(options, "batch_size")
    wanted = _wanted_workers(options)
    check_options(options)
    source = find_source(options.source)
    if source.searched:
        _check_apart(options.output, source.root)
    digest = model_digest(options)
    require_ray()
    if not options.dry_run:
        output_folder(options.output)
    with cluster(options.address, wanted) as ray:
        workers = choose_workers(ray, wanted, options.gpus_per_worker, options.device)
        if options.device == "auto":
            options.device = workers.device
        job = _job(ray, options, workers, source.root)
        if options.dry_run:
            _say_estimate(ray, options, job, workers, source)
        else:
            _translate(ray, options, job, workers, source, digest)


def _wanted_workers(options: argparse.Namespace) -> int | None:
    if not 0 < options.gpus_per_worker <= 1 and not options.gpus_per_worker.is_integer():
        raise InputError(
            f"--gpus-per-worker is {options.gpus_per_worker:g}; use a part of one, such as 0.5, or "
            "a whole number."
        )
    if options.max_errors is not None and options.max_errors < 0:
        raise InputError(f"--max-errors is {options.max_errors}; use 0 or more.")
    if options.workers == "auto":
        return None
    if not options.workers.isdecimal() or int(options.workers) < 1:
        raise InputError(f"--workers is {options.workers!r}; use auto, or 1 or more.")
    return int(options.workers)


def _check_apart(output: Path, searched: Path) -> None:
    """Refuse a destination whose pictures would be found as rows."""
    if output.resolve().is_relative_to(searched):
        raise InputError(
            f"The output folder {str(output)!r} lies in the source, where its pictures would be "
            "found as rows; choose one elsewhere."
        )


def _job(ray: Any, options: argparse.Namespace, workers: Workers, root: Path) -> Job:
    """The job, with the batch size that it began with, or the one that fits."""
    from ..scale.job import Job
    from ..scale.memory import choose_batch_size

    plain = {name: value for name, value in vars(options).items() if name != "run"}
    output, batch_size = options.output.resolve(), options.batch_size
    job = Job(
        argparse.Namespace(**plain), root, output, options.format, 1, Path.cwd(), uuid.uuid4().hex
    )
    if batch_size is None:
        batch_size = _begun_with(job) or choose_batch_size(ray, job, workers)
    return dataclasses.replace(job, batch_size=batch_size)


def _begun_with(job: Job) -> int | None:
    path = job.hidden / "settings.json"
    with contextlib.suppress(OSError, ValueError):
        size: int = json.loads(path.read_text())["batch_size"]
        return size
    return None


def _translate(
    ray: Any, options: argparse.Namespace, job: Job, workers: Workers, source: Source, digest: str
) -> None:
    from ..scale.progress import Progress
    from ..scale.run import MANIFEST, alone
    from ..scale.run import run as translate

    started, settings = time.monotonic(), _settings(job, digest)
    with alone(job):
        hold_to(job.hidden, settings)
        job.index.update(source.rows(), options.shard_size, dots=job.format != "tar")
        with Progress() as progress:
            done = translate(
                ray, job, workers, options.shard_size, options.max_errors, progress.begin
            )
    took = time.monotonic() - started
    told = f"{done.translated:,} rows translated in {duration(took)}: {done.pictures:,} pictures"
    if done.kept:
        told += f"; {done.kept:,} were there"
    if done.errors:
        told += f"; {done.errors:,} could not be, and {MANIFEST} says why"
    report(
        options.json,
        {
            **dataclasses.asdict(done),
            "seconds": round(took, 1),
            "workers": workers.count,
            "manifest": str(options.output / MANIFEST),
            "settings": settings,
        },
        f"{told}; in {options.output}",
    )


def _settings(job: Job, digest: str) -> dict[str, object]:
    """All that the pictures depend on; a rerun must have the same."""
    options = job.options
    return written_of_all(options) | {
        "model_sha256": digest,
        "factor": options.factor,
        "samples": options.samples,
        "seed": options.seed,
        "seeds": options.seeds,
        "format": job.format,
        "batch_size": job.batch_size,
        "device": torch.device(options.device).type,
        "dtype": str(choose_dtype(options.dtype, torch.device(options.device))),
    }


def _say_estimate(
    ray: Any, options: argparse.Namespace, job: Job, workers: Workers, source: Source
) -> None:
    from ..scale.estimate import Estimate, count_and_draw, measure, rows_done, rows_to_measure

    rows, drawn = count_and_draw(source, rows_to_measure(job.batch_size))
    sample = measure(ray, job, workers, drawn)
    left = max(0, rows - rows_done(job))
    estimate = Estimate.of(left, sample, workers.count)
    told = (
        f"{left:,} of {rows:,} rows are left: {estimate.pictures:,} pictures, "
        f"{estimate.calls:,} network calls, {duration(estimate.seconds)} on {workers.count} "
        f"workers, {estimate.bytes / 1e6:,.1f} MB. Measured: {sample.pictures} pictures at "
        f"{sample.seconds:.2f} s each, {sample.start:.1f} s to load the model."
    )
    if sample.errors:
        told += f" {sample.errors} of {sample.rows} rows that were tried cannot be translated."
    measured = {"measured": dataclasses.asdict(sample), "batch_size": job.batch_size}
    report(options.json, {"all_rows": rows, **dataclasses.asdict(estimate), **measured}, told)
