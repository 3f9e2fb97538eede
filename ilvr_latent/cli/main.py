"""From arguments to an exit status: 0 done, 2 unusable input, 130 stopped by Ctrl-C."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from .. import __version__
from ..errors import InputError
from .cores import Machine, free_cores

PROMPTS = ("prompt", "negative_prompt")
# Each is a module of this folder, which is imported only when it is to run.
COMMANDS = {
    "demo": "Make three figures that show what ILVR does: the factor N, the range, and a prompt.",
    "sample": "Make pictures that keep a reference's layout and colours (ILVR).",
    "translate": "Make pictures of a whole data set, on one machine or many (Ray Data).",
    "grid": "Sample one reference over any two settings: a labelled sheet.",
    "report": "Show what ILVR did to a sample: its distance from the reference step by step.",
    "evaluate": "Measure what ILVR does: FID, KID, diversity and faithfulness by N and by range.",
    "properties": "Make figures of the paper's three properties: nested sets, the range, what "
    "counts of y.",
    "adm-sample": "Run the paper authors' ilvr_sample.py command line and get the same numbers.",
    "inspect": "Say what a guided-diffusion checkpoint is, as far as the file tells.",
    "upscale": "Draw pictures again, larger: each window follows its part of the small one.",
    "match": "Give a finished picture the colours of a reference; its detail stays.",
    "lowpass": "Write the low frequencies of a picture: what ILVR would hold a sample to.",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage block."""

    def error(self, message: str) -> NoReturn:
        said = InputError(f"{self.prog}: {message}; see '{self.prog} --help'.")
        self.exit(2, f"{said}\n")


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """The parser of the whole command.

    Args:
        command: the one that is to run; the others are only listed.
    """
    parser = _Parser(
        prog="ilvr",
        description="ILVR: make pictures that keep a reference's layout and colours.",
        epilog="Start with: ilvr demo",
    )
    parser.add_argument("--version", action="version", version=f"ilvr {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, description in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=description,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name != command:
            continue
        module = importlib.import_module(f".{name.replace('-', '_')}", __package__)
        subparser.epilog = f"Example:\n  {module.EXAMPLE}"
        module.add_arguments(subparser)
        subparser.add_argument(
            "--debug", action="store_true", help="show the traceback of an error"
        )
        subparser.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: without the program's name; by default those of the process.

    Returns:
        The exit status.
    """
    if arguments is None and isinstance(sys.stdout, TextIOWrapper):
        # Names of files may be any bytes, and terminals may know few letters.
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="ilvr: %(message)s")
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(given)
    except KeyboardInterrupt:
        print("ilvr: stopped; finished pictures are kept.", file=sys.stderr)
        return 130


def _run(arguments: Sequence[str]) -> int:
    command = next((given for given in arguments if not given.startswith("-")), None)
    if command in COMMANDS:
        share_the_cores()
    try:
        options = build_parser(command).parse_args(arguments)
    except SystemExit as stop:  # argparse has said what is wrong, or printed its help.
        return int(stop.code or 0)
    try:
        with _ended_by_a_signal():
            _check_text(options)
            options.run(options)
    except Exception as error:
        message = _explained(error, getattr(options, "batch_size", None))
        if options.debug or message is None:
            raise
        print(InputError(f"ilvr: {message}"), file=sys.stderr)
        return 2
    return 0


def share_the_cores() -> None:
    """Compute on the cores that are free (:mod:`.cores`); before PyTorch is imported."""
    if "OMP_NUM_THREADS" in os.environ or "torch" in sys.modules:
        return
    # Not on every system.
    if hasattr(os, "sched_getaffinity") and hasattr(os, "getloadavg"):
        threads = free_cores(Machine(), os.sched_getaffinity(0), os.getloadavg()[0])
        os.environ["OMP_NUM_THREADS"] = str(threads)


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
        InputError: a value holds NUL, or a prompt is no text.
    """
    for name, value in vars(options).items():
        values = value if isinstance(value, (list, tuple)) else [value]
        texts = [str(one) for one in values if isinstance(one, (str, Path))]
        if any("\0" in text for text in texts):
            raise InputError(f"--{name.replace('_', '-')} holds a NUL; leave it out.")
        # Names of files may be any bytes.
        if name in PROMPTS and any(not _is_text(text) for text in texts):
            raise InputError(f"--{name.replace('_', '-')} holds bytes that are not UTF-8.")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    import torch

    # The CPU allocator raises a plain RuntimeError and says so in words only.
    text = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        "out of memory" in text or "can't allocate memory" in text
    )
