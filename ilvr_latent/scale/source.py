"""Sources: which rows a folder, a glob, a manifest, Parquet files or tar shards have.

Rows come one by one and in an order that does not change: no more than the names of one folder, or
one row group without its pictures, are in memory.
"""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import InputError
from ..pictures.images import SUFFIXES, is_picture
from .place import Place
from .row import Row
from .tables import csv_rows, jsonl_rows, parquet_rows
from .tar import tar_rows

# Of files that hold rows, each with the path that it has from the root.
READERS: dict[str, Callable[[Path, str], Iterator[Row]]] = {
    ".csv": csv_rows,
    ".jsonl": jsonl_rows,
    ".parquet": parquet_rows,
    ".tar": tar_rows,
}


@dataclass(frozen=True)
class Source:
    """Where rows come from.

    Attributes:
        root: what their places are counted from.
        rows: all of them, in order.
        searched: whether files are looked for below the root.
    """

    root: Path
    rows: Callable[[], Iterator[Row]]
    searched: bool = True


def find_source(text: str) -> Source:
    """What a user names as the source.

    Args:
        text: a folder, a glob, a manifest (CSV, JSONL), a Parquet file or a tar shard.

    Raises:
        InputError: there is nothing, or nothing that has rows.
    """
    path = Path(text)
    if path.is_dir():
        root = path.resolve()
        return _of_files(root, text, lambda: _walk(root))
    if path.is_file():
        root = path.resolve().parent
        found = _of_files(root, text, lambda: iter([path.name]))
        return dataclasses.replace(found, searched=False)
    if not glob.has_magic(text):
        raise InputError(f"There is no source {text!r}; check the path.")
    parts = path.absolute().parts
    fixed = next(n for n, part in enumerate(parts) if glob.has_magic(part))
    root, pattern = Path(*parts[:fixed]).resolve(), parts[fixed:]
    return _of_files(root, text, lambda: _walk(root, pattern))


def _of_files(root: Path, text: str, files: Callable[[], Iterator[str]]) -> Source:
    """The rows of files that are all of the kind of the first."""
    kinds = (_kind(root / name) for name in files())
    kind = next((kind for kind in kinds if kind), None)
    if kind is None:
        raise InputError(
            f"There is no data set at {text!r}; give pictures ({', '.join(sorted(SUFFIXES))}), "
            f"or files ending in {', '.join(READERS)}."
        )
    reader = _picture_row if kind == "picture" else READERS[kind]

    def rows() -> Iterator[Row]:
        for name in files():
            if _kind(root / name) == kind:
                yield from reader(root / name, name)

    return Source(root, rows)


def _picture_row(path: Path, name: str) -> Iterator[Row]:
    yield Row(name, Place(name))


def _kind(path: Path) -> str | None:
    if is_picture(path):
        return "picture"
    suffix = path.suffix.lower()
    return suffix if suffix in READERS and path.is_file() else None


def _walk(root: Path, pattern: Sequence[str] = ("**", "*"), folder: str = "") -> Iterator[str]:
    """The files that a pattern means, from the root, in the order of their paths."""
    with os.scandir(root / folder) as entries:
        found = sorted((entry.name, entry.is_dir()) for entry in entries)
    for name, is_folder in found:
        if name.startswith("."):
            continue
        path = f"{folder}/{name}" if folder else name
        parts = path.split("/")
        if not is_folder and _fits(parts, pattern):
            yield path
        elif is_folder and _leads(parts, pattern) and not _goes_back(root / path):
            yield from _walk(root, pattern, path)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the pattern means this path; ``**`` is any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[n:], pattern[1:]) for n in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _leads(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the pattern may mean something in this folder."""
    if not parts or not pattern:
        return not parts
    return pattern[0] == "**" or (
        fnmatchcase(parts[0], pattern[0]) and _leads(parts[1:], pattern[1:])
    )


def _goes_back(folder: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())
