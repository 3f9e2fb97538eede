"""``ilvr inspect``: what a checkpoint is."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from ..adm import inspect_checkpoint
from .common import report
from .guiding import parse_flags

EXAMPLE = "ilvr inspect models/ffhq_10m.pt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=".pt or .safetensors")
    parser.add_argument(
        "--flag",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a guided-diffusion flag the file can't tell, such as num_head_channels=64",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> None:
    """Read and print."""
    found = inspect_checkpoint(options.checkpoint, **parse_flags(options.flag))
    record = found.to_dict()
    report(options.json, record, "\n".join(described(record)))


def described(record: Mapping[str, Any]) -> Iterator[str]:
    """The lines that a person reads: of the configuration, or of what the file tells of it."""
    told = record["config"] or record["detected"]
    of_the_file = {k: v for k, v in record.items() if k not in ("config", "detected", "missing")}
    for name, value in (of_the_file | told).items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        yield f"{name.replace('_', ' '):<26}{shown}"
    if record["missing"]:
        yield record["missing"]
