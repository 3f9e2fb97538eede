"""Rows of manifests and Parquet files."""

from __future__ import annotations

import csv
import itertools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from .place import Place
from .row import IMAGE, KEY, MASK, Row, known_columns, read_settings

logger = logging.getLogger(__name__)


def csv_rows(path: Path, name: str) -> Iterator[Row]:
    """Of a CSV file with a heading.

    Args:
        path: the file.
        name: its path from the root of the source.

    Raises:
        InputError: it has no column ``image``.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            columns = list(reader.fieldnames or ())
            _check_columns(path, columns)
            for values in reader:
                # What stands beyond the heading's last column is under None.
                known = {column: text for column, text in values.items() if column is not None}
                yield row_of(known, name, reader.line_num)
        except csv.Error as error:
            yield _unread(name, reader.line_num, str(error))


def jsonl_rows(path: Path, name: str) -> Iterator[Row]:
    """Of a file with a JSON object on each line; arguments as :func:`csv_rows`."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                values = None
            if isinstance(values, dict):
                if number == 1:
                    warn_of_columns(path, list(values))
                yield row_of(values, name, number)
            else:
                yield _unread(name, number, "it is no JSON object")


def row_of(values: Mapping[str, Any], name: str, number: int) -> Row:
    """A row of a manifest; what is wrong with it becomes its error.

    Args:
        values: by column.
        name: of the manifest, from the root of the source.
        number: of its line.
    """
    image, mask = values.get(IMAGE), values.get(MASK)
    if not isinstance(image, str) or not image:
        return _unread(name, number, "it names no image")
    key = values.get(KEY)
    key = image if key is None or key == "" else str(key)
    folder = PurePosixPath(name).parent
    try:
        settings = read_settings(values)
    except InputError as error:
        return Row(key, error=f"Line {number} of {name!r}: {error}")
    own_mask = Place(str(folder / mask)) if isinstance(mask, str) and mask else None
    if own_mask is not None:
        settings[MASK] = mask
    return Row(key, Place(str(folder / image)), own_mask, settings)


def parquet_rows(path: Path, name: str) -> Iterator[Row]:
    """Of a Parquet file whose column ``image`` holds files, bytes, or both; see :func:`csv_rows`.

    Raises:
        InputError: it has no such column, or is no Parquet file.
    """
    import pyarrow
    from pyarrow import parquet

    number, stem = 0, str(PurePosixPath(name).with_suffix(""))
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            _check_columns(path, schema.names)
            cells = [c for c in (IMAGE, MASK) if _holds_bytes(schema, c)]
            small = [c for c in known_columns() if c in schema.names and c not in cells]
            for group in range(file.num_row_groups):
                of_group = file.metadata.row_group(group).num_rows
                known = file.read_row_group(group, columns=small).to_pylist() if small else None
                for row in range(of_group):
                    values: dict[str, Any] = {} if known is None else dict(known[row])
                    values.setdefault(KEY, f"{stem}/{number:06d}")
                    yield _row_of_cells(values, cells, name, (group, row, number))
                    number += 1
    except pyarrow.ArrowException as error:
        if number == 0:
            raise InputError(f"{str(path)!r} is no Parquet file ({error}).") from None
        yield _unread(name, number, str(error))


def _row_of_cells(
    values: dict[str, Any], cells: Sequence[str], name: str, at: tuple[int, int, int]
) -> Row:
    group, row, number = at
    if not cells:
        return row_of(values, name, number)
    # Where bytes are in the file, no path is needed.
    values.setdefault(IMAGE, name)
    read = row_of(values, name, number)
    if read.error is not None:
        return read
    image = Place(name, cell=(group, row, IMAGE)) if IMAGE in cells else read.image
    mask = Place(name, cell=(group, row, MASK)) if MASK in cells else read.mask
    return Row(read.key, image, mask, read.settings)


def _holds_bytes(schema: Any, column: str) -> bool:
    import pyarrow.types as kinds

    if column not in schema.names:
        return False
    kind = schema.field(column).type
    return any(test(kind) for test in (kinds.is_binary, kinds.is_large_binary, kinds.is_struct))


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if IMAGE not in columns:
        raise InputError(
            f"{str(path)!r} has no column 'image' that names or holds the pictures, but "
            f"{', '.join(map(repr, itertools.islice(columns, 8))) or 'none at all'}; rename one."
        )
    warn_of_columns(path, columns)


def warn_of_columns(path: Path, columns: Sequence[str]) -> None:
    """Say which columns are no settings: one may be a mistake."""
    other = [c for c in columns if c.strip().replace("-", "_") not in known_columns()]
    if other:
        logger.warning("%s: these columns are no settings: %s.", path.name, ", ".join(other))


def _unread(name: str, number: int, why: str) -> Row:
    return Row(
        f"{name}#{number}", error=f"Line {number} of {name!r} cannot be read: {why}; mend it."
    )
