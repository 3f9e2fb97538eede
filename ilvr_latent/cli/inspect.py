"""``ilvr inspect``: what a checkpoint is."""

from __future__ import annotations

import argparse

from ..adm import inspect_checkpoint
from .common import report
from .sample import parse_flags

HELP = "Say what a guided-diffusion checkpoint is, as far as the file tells."
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
    width = max(len(name) for name in record)
    text = "\n".join(
        f"{name.replace('_', ' '):<{width}}  {value}" for name, value in record.items()
    )
    report(options.json, record, text)
