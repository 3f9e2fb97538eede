"""The ledger: what has become of each row, on disk, so that a run can be killed anywhere.

While a shard is worked at, each worker has a file of its own, ``parts/00000012/WORKER.jsonl``, and
adds a line when a picture is in its place: a kill leaves at most half a last line, which counts for
nothing. When every row of a shard is settled, ``records/00000012.jsonl`` takes the place of them.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..pictures.files import written_whole

Record = dict[str, Any]
"""A picture (``image``, ``settings``, ``sha256`` ...), an error, or a beginning."""

Sample = tuple[float, int]
"""Factor and seed: which picture of a row."""


def sample_of(picture: Record) -> Sample:
    """Which picture of its row a record is of."""
    return picture["settings"]["factor"], picture["settings"]["seed"]


@dataclass
class RowState:
    """What has become of a row.

    Attributes:
        pictures: that are there, by factor and seed.
        error: why it has none, or not all.
        begun: how often a worker of a run began it and did not say how it ended.
    """

    pictures: dict[Sample, Record] = field(default_factory=dict)
    error: Record | None = None
    begun: int = 0

    @property
    def done(self) -> bool:
        """Whether all of its pictures are there."""
        return any(len(self.pictures) >= record["of"] for record in self.pictures.values())

    def is_settled(self, run: str) -> bool:
        """Whether it is done, or this run could not do it."""
        return self.done or (self.error is not None and self.error.get("run") == run)

    @property
    def records(self) -> list[Record]:
        """What the manifest says of it: a line for each picture, and one for an error."""
        pictures = [self.pictures[sample] for sample in sorted(self.pictures)]
        if self.done or self.error is None:
            return pictures
        return [*pictures, {name: value for name, value in self.error.items() if name != "run"}]


@dataclass(frozen=True)
class Ledger:
    """The states of all rows.

    Args:
        folder: where they are kept.
        run: marks the beginnings that count.
    """

    folder: Path
    run: str = ""

    def shard(self, shard: int) -> dict[int, RowState]:
        """The states of the rows of a shard, by their places."""
        states: dict[int, RowState] = {}
        for record in self._lines(shard):
            state = states.setdefault(record["row"], RowState())
            if "begun" in record:
                state.begun += record["begun"] == self.run
            elif "error" in record:
                state.error = record
            else:
                state.pictures[sample_of(record)] = record
                state.error = None
        return states

    def has_parts(self, shard: int) -> bool:
        """Whether something was written down since the shard was closed."""
        return self._parts(shard).exists()

    def add(self, shard: int, worker: str, record: Record) -> None:
        """Write down what has become of a row.

        Args:
            shard: of the row.
            worker: who writes; no other process adds to its file.
            record: with the place of the row as ``row``.
        """
        path = self._parts(shard) / f"{worker}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(record)}\n")

    def begin(self, shard: int, worker: str, row: int) -> None:
        """Write down that a row was begun."""
        self.add(shard, worker, {"row": row, "begun": self.run})

    def close(self, shard: int, records: Iterable[Record]) -> None:
        """Put one file in the place of the parts.

        Args:
            shard: which.
            records: of all its rows, in order.
        """
        path = self._records(shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        # Another worker that closes it, too, writes the same.
        shutil.rmtree(self._parts(shard), ignore_errors=True)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever written down."""
        return not any((self.folder / name).exists() for name in ("parts", "records"))

    def merge(self, shards: int, path: Path) -> None:
        """Write the records of all shards into one file, in the order of the rows."""
        with written_whole(path) as partial, partial.open("wb") as merged:
            for shard in range(shards):
                if self.has_parts(shard):
                    states = self.shard(shard)
                    records = [r for place in sorted(states) for r in states[place].records]
                    merged.write("".join(f"{json.dumps(r)}\n" for r in records).encode())
                elif self._records(shard).exists():
                    with self._records(shard).open("rb") as closed:
                        shutil.copyfileobj(closed, merged)

    def _lines(self, shard: int) -> Iterator[Record]:
        """Of the closed shard, then of its parts."""
        parts = sorted(self._parts(shard).glob("*.jsonl"))
        for path in (self._records(shard), *parts):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                for line in file:
                    # A torn line is the last of a writer that is no more.
                    with contextlib.suppress(ValueError):
                        yield json.loads(line)

    def _parts(self, shard: int) -> Path:
        return self.folder / "parts" / f"{shard:08d}"

    def _records(self, shard: int) -> Path:
        return self.folder / "records" / f"{shard:08d}.jsonl"
