"""What several commands share: device and precision, progress, JSON on standard output."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch

from ..errors import InputError
from ..pictures.files import output_folder
from ..precision import automatic_dtype

MOST = 1_000_000
EVERY = 20.0  # seconds between lines of progress

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def choose_device(name: str) -> torch.device:
    """``auto`` takes a GPU where there is one.

    Raises:
        InputError: the device is unknown or not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    # Back ends that are not built in fail in ways of their own.
    except Exception:
        raise InputError(
            f"The device {name!r} is not available here; use --device auto or --device cpu."
        ) from None
    return device


def choose_dtype(name: str, device: torch.device, model: str | None) -> torch.dtype:
    """What ``--dtype`` says; ``auto``: see :mod:`..precision`.

    Args:
        name: as it was typed.
        device: where the network is to be.
        model: its file or folder, or ``embedded``.
    """
    if name == "auto":
        return automatic_dtype(device, fits_fp16=model == "embedded")
    return DTYPES[name]


def output_png(path: Path) -> None:
    """Make sure that a picture can be written where it is wanted.

    Raises:
        InputError: it is no PNG file, or in no folder that can be written to.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        raise InputError(f"The output is {str(path)!r}; give the name of a file such as sheet.png.")
    output_folder(path.parent)


class Advance(Protocol):
    """Moves a progress bar on."""

    def __call__(self, steps: int = 1) -> None:
        """By so many steps."""
        ...


class _Lines:
    """How far it is and how long it will take, every twenty seconds."""

    def __init__(self, description: str, total: int) -> None:
        self._description, self._total, self._done = description, total, 0
        self._began = self._said = time.monotonic()

    def __call__(self, steps: int = 1) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._said < EVERY:
            return
        self._said = now
        left = (now - self._began) / self._done * (self._total - self._done)
        done = f"{self._done} of {self._total} steps"
        print(f"{self._description}: {done}, about {duration(left)} left", file=sys.stderr)


@contextmanager
def progress(description: str, total: int) -> Iterator[Advance]:
    """A progress bar on standard error, or, if that is no terminal, a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines(description, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)

        def advance(steps: int = 1) -> None:
            bar.advance(task, steps)

        yield advance


def report(as_json: bool, record: dict[str, object], text: str) -> None:
    """One JSON object and nothing else, or words for a person, on standard output."""
    print(json.dumps(record, indent=2) if as_json else text)


def duration(seconds: float) -> str:
    """For a person, in the unit that it fills: ``40 s``, ``3.5 min``, ``12.0 h``, ``2.5 days``."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def quiet_diffusers() -> None:
    """Their warnings would stand among ours; what matters here is an error, or said by us."""
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def check_counts(options: argparse.Namespace, *names: str) -> None:
    """Refuse counts below 1, and those that are no count that anyone waits for; ``None`` is none.

    Raises:
        InputError: there is one.
    """
    for name in names:
        count, flag = getattr(options, name), name.replace("_", "-")
        if count is None:
            continue
        if count < 1:
            raise InputError(f"--{flag} is {count}; use 1 or more.")
        if count > MOST:
            raise InputError(f"--{flag} is {count}; use {MOST} or fewer.")
