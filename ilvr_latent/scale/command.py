"""``ilvr translate``, from options that were checked to what is said at the end."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..cli.common import duration
from ..cli.evaluate_rows import model_digest
from ..cli.translation import written_of_all
from ..errors import InputError
from ..evaluation.store import hold_to
from ..pictures.files import output_folder
from .choices import settle_device
from .estimate import Estimate, count_and_draw, measure, rows_done, rows_to_measure
from .job import Job
from .machine import FAR, Workers, choose_workers, cluster
from .memory import choose_batch_size
from .progress import Progress
from .run import MANIFEST, alone, run
from .source import Source, find_source


@dataclass(frozen=True)
class Said:
    """What is said at the end, to a program and to a person."""

    record: dict[str, object]
    text: str


def carry_out(options: argparse.Namespace) -> Said:
    """Translate a data set, or estimate what it would take.

    Args:
        options: of ``ilvr translate``.

    Raises:
        InputError: something cannot be used, or the run stopped; what is finished is kept.
    """
    options = argparse.Namespace(**{k: v for k, v in vars(options).items() if k != "run"})
    # Where Ray says that a worker died; results alone are on standard output.
    with contextlib.redirect_stdout(sys.stderr):
        return _carried_out(options, None if options.workers == "auto" else int(options.workers))


def _carried_out(options: argparse.Namespace, wanted: int | None) -> Said:
    if not options.address.startswith(FAR):
        source, digest = _checked(options)
        with cluster(options.address, wanted) as ray:
            return _on(ray, options, wanted, source, digest)
    with cluster(options.address, wanted) as ray:
        # Ray Data must run in the cluster itself.
        task = ray.remote(num_cpus=0, max_retries=0)(_from_afar)
        said: Said | str = ray.get(task.remote(options, Path.cwd()))
    if isinstance(said, str):
        raise InputError(said)
    return said


def _from_afar(options: argparse.Namespace, folder: Path) -> Said | str:
    """In the cluster: the same, with paths from the user's folder."""
    try:
        if folder.is_dir():
            os.chdir(folder)
        return carry_out(argparse.Namespace(**vars(options) | {"address": "auto"}))
    except InputError as error:
        return str(error)


def _checked(options: argparse.Namespace) -> tuple[Source, str]:
    """The source, and the digest of the model; what cannot be read or written is refused."""
    source = find_source(options.source)
    if source.searched and options.output.resolve().is_relative_to(source.root):
        raise InputError(
            f"The output folder {str(options.output)!r} lies in the source, where its pictures "
            "would be found as rows; choose one elsewhere."
        )
    digest = model_digest(options)
    if not options.dry_run:
        output_folder(options.output)
    return source, digest


def _on(
    ray: Any, options: argparse.Namespace, wanted: int | None, source: Source, digest: str
) -> Said:
    workers = choose_workers(ray, wanted, options.gpus_per_worker, options.device)
    settle_device(options, workers.device)
    job = _job(ray, options, workers, source.root)
    if options.dry_run:
        return _estimate(ray, job, workers, source)
    return _translate(ray, options, job, workers, source, digest)


def _job(ray: Any, options: argparse.Namespace, workers: Workers, root: Path) -> Job:
    """The job, with the batch size that it began with, or the one that fits."""
    output, batch_size = options.output.resolve(), options.batch_size
    job = Job(options, root, output, options.format, 1, Path.cwd(), uuid.uuid4().hex)
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
) -> Said:
    started, settings = time.monotonic(), _settings(job, digest)
    with alone(job):
        hold_to(job.hidden, settings)
        job.index.update(source.rows(), options.shard_size, dots=job.format != "tar")
        if not job.index.shards:
            raise InputError(f"The source {options.source!r} has no rows; give one that has some.")
        with Progress() as progress:
            done = run(ray, job, workers, options.shard_size, options.max_errors, progress.begin)
    took = time.monotonic() - started
    told = f"{done.translated:,} rows translated in {duration(took)}: {done.pictures:,} pictures"
    if done.kept:
        told += f"; {done.kept:,} were there"
    if done.errors:
        told += f"; {done.errors:,} could not be, and {MANIFEST} says why"
    record: dict[str, object] = {
        **dataclasses.asdict(done),
        "seconds": round(took, 1),
        "workers": workers.count,
        "manifest": str(options.output / MANIFEST),
        "settings": settings,
    }
    return Said(record, f"{told}; in {options.output}")


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
        "dtype": f"torch.{options.dtype}",
    }


def _estimate(ray: Any, job: Job, workers: Workers, source: Source) -> Said:
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
    return Said({"all_rows": rows, **dataclasses.asdict(estimate), **measured}, told)
