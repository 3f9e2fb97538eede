"""Which file a network's weights came from."""

from __future__ import annotations

import hashlib
from pathlib import Path

DIGITS = 12


def sha256(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def named(path: Path) -> str:
    """A file of weights, as a table names it."""
    return f"weights {path.name}, sha256 {sha256(path)[:DIGITS]}"
