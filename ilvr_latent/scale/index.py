"""The index: which row is in which shard, on disk, so that no process holds all rows.

``index/00000012.jsonl`` has the rows of shard 12, a line each. It is only ever added to: when a
source has grown, its new rows are new shards; a row whose line has changed is replaced by one of
these, and its old place is listed in ``index/00000012.replaced``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..pictures.files import written_whole
from .row import Row, name_of

Spot = tuple[int, int]
"""Shard, and place in it."""

TABLE = """
CREATE TABLE rows (
    key TEXT PRIMARY KEY, name TEXT UNIQUE, digest BLOB, shard INTEGER, place INTEGER,
    error INTEGER, seen INTEGER
) WITHOUT ROWID;
CREATE TABLE numbers (text TEXT PRIMARY KEY, last INTEGER) WITHOUT ROWID;
"""


@dataclasses.dataclass(frozen=True)
class Index:
    """The shards of a job.

    Args:
        folder: where they are kept.
    """

    folder: Path

    @property
    def shards(self) -> int:
        """How many there are."""
        return sum(1 for _ in self.folder.glob("*.jsonl")) if self.folder.is_dir() else 0

    def rows(self, shard: int) -> dict[int, Row]:
        """The rows of a shard by their places, without those that were replaced."""
        replaced = set(self._replaced(shard))
        with self._path(shard).open(encoding="utf-8") as file:
            return {n: Row.of(line) for n, line in enumerate(file) if n not in replaced}

    def places(self, shard: int) -> tuple[int, ...]:
        """The places of these rows."""
        lines = self._path(shard).read_bytes().count(b"\n")
        return tuple(sorted(set(range(lines)).difference(self._replaced(shard))))

    def update(self, rows: Iterable[Row], size: int, *, dots: bool = True) -> None:
        """Add rows that are new or have changed.

        Args:
            rows: all of the source.
            size: rows of a shard.
            dots: whether names may have them; see :func:`.row.name_of`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _table() as table:
            for shard in range(self.shards):
                for place, row in self.rows(shard).items():
                    _keep(table, row, shard, place, seen=0)
            self._add(_new_rows(table, rows, dots), size, table)
            # Lines that could not be read have no key that lasts.
            gone = table.execute("SELECT shard, place FROM rows WHERE error AND NOT seen")
            self._replace(gone.fetchall())

    def _add(
        self, rows: Iterator[tuple[Row, Spot | None]], size: int, table: sqlite3.Connection
    ) -> None:
        shard, lines, old = self.shards, list[str](), list[Spot]()

        def write() -> None:
            # The old place goes first: a row is never in two.
            self._replace(old)
            with written_whole(self._path(shard)) as partial:
                partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

        for row, before in rows:
            old += [] if before is None else [before]
            _keep(table, row, shard, len(lines), seen=1)
            lines.append(row.written())
            if len(lines) == size:
                write()
                shard, lines, old = shard + 1, [], []
        if lines:
            write()

    def _replace(self, places: Iterable[Spot]) -> None:
        by_shard: dict[int, set[int]] = {}
        for shard, place in places:
            by_shard.setdefault(shard, set()).add(place)
        for shard, of_shard in by_shard.items():
            listed = sorted(of_shard.union(self._replaced(shard)))
            with written_whole(self._path(shard).with_suffix(".replaced")) as partial:
                partial.write_text(json.dumps(listed))

    def _replaced(self, shard: int) -> list[int]:
        path = self._path(shard).with_suffix(".replaced")
        places: list[int] = json.loads(path.read_text()) if path.exists() else []
        return places

    def _path(self, shard: int) -> Path:
        return self.folder / f"{shard:08d}.jsonl"


@contextmanager
def _table() -> Iterator[sqlite3.Connection]:
    """Keys and names on disk: ten million of them are no matter of memory."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ilvr-")))
        table = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
        stack.callback(table.close)
        table.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {TABLE}; BEGIN")
        yield table


def _keep(table: sqlite3.Connection, row: Row, shard: int, place: int, *, seen: int) -> None:
    values = (row.key, row.name, _digest(row), shard, place, row.error is not None, seen)
    table.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def _digest(row: Row) -> bytes:
    """Of all that the source says."""
    return hashlib.sha256(dataclasses.replace(row, name="").written().encode()).digest()[:16]


def _new_rows(
    table: sqlite3.Connection, rows: Iterable[Row], dots: bool
) -> Iterator[tuple[Row, Spot | None]]:
    """Those that the table does not have as they are, each with the place that it had before."""
    for row in rows:
        # Names of files need not be text.
        row = dataclasses.replace(row, key=row.key.encode(errors="backslashreplace").decode())
        found = _find(table, row.key)
        if found is not None and found[-1]:
            row, found = _second(table, row)
        if found is None:
            name = _free_name(table, name_of(row.key, dots=dots))
            yield dataclasses.replace(row, name=name), None
            continue
        name, digest, shard, place, _ = found
        if digest == _digest(row):
            table.execute("UPDATE rows SET seen = 1 WHERE key = ?", (row.key,))
        else:
            yield dataclasses.replace(row, name=name), (shard, place)


def _find(table: sqlite3.Connection, key: str) -> tuple[str, bytes, int, int, int] | None:
    columns = "SELECT name, digest, shard, place, seen FROM rows WHERE key = ?"
    found: tuple[str, bytes, int, int, int] | None = table.execute(columns, (key,)).fetchone()
    return found


def _second(
    table: sqlite3.Connection, row: Row
) -> tuple[Row, tuple[str, bytes, int, int, int] | None]:
    """A row whose key another one has, under a key that is free, and what was known of that."""
    error = f"There are two rows with the key {row.key!r}; give each its own, as the column 'key'."

    def taken(key: str) -> bool:
        found = _find(table, key)
        return found is not None and bool(found[-1])

    key = _free(table, row.key, "#", taken)
    return Row(key, row.image, error=error), _find(table, key)


def _free_name(table: sqlite3.Connection, name: str) -> str:
    """As ``ilvr sample`` names results: a number is added where two would be the same."""

    def taken(name: str) -> bool:
        return table.execute("SELECT 1 FROM rows WHERE name = ?", (name,)).fetchone() is not None

    return _free(table, name, "-", taken)


def _free(table: sqlite3.Connection, text: str, mark: str, taken: Callable[[str], bool]) -> str:
    if not taken(text):
        return text
    # Begins where the last search ended: many may be the same.
    known = table.execute("SELECT last FROM numbers WHERE text = ?", (text + mark,)).fetchone()
    number = 2 if known is None else known[0] + 1
    while taken(f"{text}{mark}{number}"):
        number += 1
    table.execute("INSERT OR REPLACE INTO numbers VALUES (?, ?)", (text + mark, number))
    return f"{text}{mark}{number}"
