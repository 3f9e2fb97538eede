"""``ilvr translate``: a whole data set, on all cores or a cluster."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from . import options as table
from .common import check_counts, report
from .translation import add_what_is_followed

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
    from ..scale.command import carry_out

    check_counts(options, "samples", "shard_size")
    if options.batch_size is not None:
        check_counts(options, "batch_size")
    check_workers(options)
    check_options(options)
    said = carry_out(options)
    report(options.json, said.record, said.text)


def check_workers(options: argparse.Namespace) -> None:
    """Refuse numbers of workers, of their GPUs and of errors that cannot be.

    Raises:
        InputError: one is such.
    """
    gpus = options.gpus_per_worker
    if not gpus > 0 or (gpus > 1 and not gpus.is_integer()):
        raise InputError(
            f"--gpus-per-worker is {gpus:g}; use a part of one, such as 0.5, or a whole number."
        )
    if options.max_errors is not None and options.max_errors < 0:
        raise InputError(f"--max-errors is {options.max_errors}; use 0 or more.")
    workers = options.workers
    if workers != "auto" and not (workers.isdecimal() and int(workers) > 0):
        raise InputError(f"--workers is {workers!r}; use auto, or 1 or more.")
