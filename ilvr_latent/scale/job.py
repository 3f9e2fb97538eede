"""A job: everything that a worker must know, and which rows it is to do next."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .index import Index
from .ledger import Ledger
from .store import Format, Store

HIDDEN = ".ilvr"
PIECES_OF_A_WORKER = 32


@dataclass(frozen=True)
class Job:
    """A data set on its way.

    Attributes:
        options: of ``ilvr translate``, with device and dtype as they are to be.
        root: of the source.
        output: the destination; every node sees it, and the source, under the same path.
        format: of the destination.
        batch_size: pictures that the network is given at a time.
        folder: that relative paths of the options are counted from.
        run: a name for this run.
    """

    options: argparse.Namespace
    root: Path
    output: Path
    format: Format
    batch_size: int
    folder: Path
    run: str

    @property
    def hidden(self) -> Path:
        """Where the job keeps what it knows."""
        return self.output / HIDDEN

    @property
    def index(self) -> Index:
        """Which rows there are."""
        return Index(self.hidden / "index")

    @property
    def ledger(self) -> Ledger:
        """What has become of them."""
        return Ledger(self.hidden, self.run)

    def store(self, writer: str) -> Store:
        """Where pictures go.

        Args:
            writer: a name that no other process has.
        """
        return Store(self.output, self.hidden, self.format, writer)


@dataclass(frozen=True)
class Piece:
    """Some rows of a shard, which one worker does in one go.

    Attributes:
        shard: which.
        places: of the rows.
    """

    shard: int
    places: tuple[int, ...]

    def written(self) -> str:
        """Such as ``12:0-15,20``."""
        spans: list[list[int]] = []
        for place in self.places:
            if spans and place == spans[-1][-1] + 1:
                spans[-1][1:] = [place]
            else:
                spans.append([place])
        return f"{self.shard}:" + ",".join("-".join(map(str, span)) for span in spans)

    @classmethod
    def of(cls, written: str) -> Piece:
        """The inverse of :meth:`written`."""
        shard, _, spans = written.partition(":")
        ends = [tuple(map(int, span.split("-"))) for span in spans.split(",") if span]
        places = itertools.chain.from_iterable(range(end[0], end[-1] + 1) for end in ends)
        return cls(int(shard), tuple(places))

    def cut(self, rows: int) -> Iterator[Piece]:
        """Pieces of so many rows."""
        for start in range(0, len(self.places), rows):
            yield dataclasses.replace(self, places=self.places[start : start + rows])


def rows_of_a_piece(rows: int, workers: int, batch_size: int, shard_size: int) -> int:
    """So few that all workers end at about the same time, and full batches.

    Args:
        rows: that are to be done.
        workers: there are.
        batch_size: pictures that the network is given at a time.
        shard_size: rows of a shard.
    """
    batches = max(1, min(rows // (PIECES_OF_A_WORKER * workers), shard_size) // batch_size)
    return batches * batch_size


def rows_in(pieces: Iterable[Piece]) -> int:
    """How many rows pieces have."""
    return sum(len(piece.places) for piece in pieces)
