"""Where the bytes of a picture lie: in a file, in a part of one, or in a cell of a Parquet file."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError

Written = list[str | int]


@dataclass(frozen=True)
class Place:
    """A file, or a part of it.

    Attributes:
        path: from the root of the source.
        part: first byte and number of bytes, of a member of a tar file.
        cell: row group, row in it, and column, of a Parquet file.
    """

    path: str
    part: tuple[int, int] | None = None
    cell: tuple[int, int, str] | None = None

    def read(self, root: Path) -> bytes:
        """What is there.

        Raises:
            InputError: nothing, or something else than before.
        """
        path = root / self.path
        try:
            if self.cell is not None:
                return _cell(path, *self.cell)
            if not path.is_file():
                raise InputError(f"There is no file {str(path)!r}; check the path.")
            return path.read_bytes() if self.part is None else _part(path, *self.part)
        # A path may hold what no file's name can.
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{str(path)!r} cannot be read ({reason}); check the path.") from None

    def written(self) -> Written:
        """As a list for JSON."""
        return [self.path, *(self.part or ()), *(self.cell or ())]

    @classmethod
    def of(cls, written: Written) -> Place:
        """The inverse of :meth:`written`."""
        path, *rest = written
        if len(rest) == 2:
            return cls(str(path), part=(int(rest[0]), int(rest[1])))
        cell = (int(rest[0]), int(rest[1]), str(rest[2])) if rest else None
        return cls(str(path), cell=cell)


def _part(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) < size:
        raise InputError(f"{str(path)!r} has become shorter; put the whole file back.")
    return data


def _cell(path: Path, group: int, row: int, column: str) -> bytes:
    cells = _cells(str(path), path.stat().st_mtime_ns, group, column)
    value = cells[row].as_py() if row < len(cells) else None
    if isinstance(value, dict):
        value = value.get("bytes")
    if not isinstance(value, bytes):
        raise InputError(f"{str(path)!r} has no picture in row {row} of its row group {group}.")
    return value


# The rows of a data set are read one after the other.
@functools.lru_cache(maxsize=2)
def _cells(path: str, changed: int, group: int, column: str) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            return file.read_row_group(group, columns=[column]).column(column)
    except pyarrow.ArrowException as error:
        raise InputError(f"{path!r} is damaged ({error}); put the whole file back.") from None
