"""From arguments to an exit status: 0 done, 2 unusable input, 130 stopped by Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import torch

from .. import __version__
from ..errors import InputError
from . import (
    adm_sample,
    demo,
    evaluate,
    grid,
    inspect,
    lowpass,
    properties,
    report,
    sample,
    translate,
)

COMMANDS = (
    demo,
    sample,
    translate,
    grid,
    report,
    evaluate,
    properties,
    adm_sample,
    inspect,
    lowpass,
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage block."""

    def error(self, message: str) -> NoReturn:
        said = InputError(f"{self.prog}: {message}; see '{self.prog} --help'.")
        self.exit(2, f"{said}\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    parser = _Parser(
        prog="ilvr",
        description="ILVR: make pictures that keep a reference's layout and colours.",
        epilog="Start with: ilvr demo",
    )
    parser.add_argument("--version", action="version", version=f"ilvr {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        name = command.__name__.rsplit(".", 1)[1].replace("_", "-")
        subparser = subparsers.add_parser(
            name,
            help=command.HELP,
            description=command.HELP,
            epilog=f"Example:\n  {command.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(subparser)
        subparser.add_argument(
            "--debug", action="store_true", help="show the traceback of an error"
        )
        subparser.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: without the program's name; by default those of the process.

    Returns:
        The exit status.
    """
    logging.basicConfig(level=logging.WARNING, format="ilvr: %(message)s")
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has said what is wrong, or printed its help.
        return int(stop.code or 0)
    try:
        with _ended_by_a_signal():
            _check_text(options)
            options.run(options)
    except KeyboardInterrupt:
        print("ilvr: stopped; finished pictures are kept.", file=sys.stderr)
        return 130
    except Exception as error:
        message = _explained(error, getattr(options, "batch_size", None))
        if options.debug or message is None:
            raise
        print(InputError(f"ilvr: {message}"), file=sys.stderr)
        return 2
    return 0


@contextmanager
def _ended_by_a_signal() -> Iterator[None]:
    """What is half-written is removed when the process is told to end."""

    def stop(*_: object) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_text(options: argparse.Namespace) -> None:
    """No file has such a name, and nothing else may have such letters.

    Raises:
        InputError: a value holds NUL.
    """
    for name, value in vars(options).items():
        values = value if isinstance(value, (list, tuple)) else [value]
        if any("\0" in str(one) for one in values if isinstance(one, (str, Path))):
            raise InputError(f"--{name.replace('_', '-')} holds a NUL; leave it out.")


def _explained(error: Exception, batch_size: int | None) -> str | None:
    """One sentence for an error that the user can do something about."""
    if isinstance(error, InputError):
        return str(error)
    if _is_out_of_memory(error):
        # Not every command has the options that help.
        if batch_size is None:
            return "Out of memory: use smaller pictures, or a machine with more memory."
        return (
            f"Out of memory at batch size {batch_size}: lower --batch-size, "
            "or use --dtype bfloat16 or a smaller model."
        )
    if isinstance(error, OSError) and error.strerror:
        place = error.filename2 or error.filename
        where = f" at {str(place)!r}" if place else ""
        return f"{error.strerror}{where}; check the path, its permissions and the free space."
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    # The CPU allocator raises a plain RuntimeError and says so in words only.
    text = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        "out of memory" in text or "can't allocate memory" in text
    )
