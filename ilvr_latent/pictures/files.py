"""Writing files so that nothing half-written is left behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

# Bytes; names of files have at most 255.
LONGEST_STEM = 180
# Files that are being written: they stay where a process was killed.
PARTIAL = ".ilvr-*.partial"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    An exception in the block removes the temporary file and leaves ``path`` as it was.
    """
    # Not of the name: that may be as long as names can be.
    prefix, suffix = PARTIAL.split("*")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        # mkstemp makes files for the owner only; results are for whoever the umask lets read.
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def output_folder(path: Path) -> Path:
    """Make a folder for results and make sure that it can be written to.

    Raises:
        InputError: it cannot be made, is a file, or cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(
            f"The output folder {str(path)!r} cannot be written to ({error.strerror}); "
            "choose another one."
        ) from None
    return path


def name_for_results(path: Path) -> str:
    """The name of a picture without its ending, as results are named after it: room is left."""
    return shortened(path.stem)


def shortened(stem: str) -> str:
    """A name that a file can have, with room for an ending."""
    plain = "".join(letter if letter.isprintable() else "_" for letter in stem)
    return plain.encode()[:LONGEST_STEM].decode(errors="ignore")
