"""A worker: it keeps the model loaded, and does one piece of the data set after the other."""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..cli.translation import file_name
from ..errors import InputError
from .job import Job, Piece
from .ledger import RowState, sample_of
from .machine import settle_down
from .reading import request_of
from .review import close
from .row import Row
from .store import digest, png
from .translator import Made, Request, Stop, Translator

T = TypeVar("T")
R = TypeVar("R")
Token = tuple[int, Row]
"""Place and row."""

# A row that ended its worker so often is not begun again.
MOST_BEGINNINGS = 3
ROWS_AHEAD = 4


@dataclass
class Outcome:
    """What became of a piece.

    Attributes:
        rows: it has.
        pictures: that were made.
        errors: rows that could not be translated.
        seconds: that the pictures took, without waiting.
        bytes: of their files.
        error: the last of the errors.
        stop: why no worker can go on.
    """

    rows: int
    pictures: int = 0
    errors: int = 0
    seconds: float = 0.0
    bytes: int = 0
    error: str = ""
    stop: str = ""


class Worker:
    """What Ray keeps alive between pieces.

    Args:
        job: what it works at.
    """

    def __init__(self, job: Job) -> None:
        settle_down(job.options.device, job.folder)
        self._job, self._name = job, uuid.uuid4().hex[:12]
        self._store, self._ledger = job.store(self._name), job.ledger
        self._broken = ""
        try:
            self._translator = Translator(job.options, job.batch_size)
        # A file of the model may be missing on this node alone.
        except (InputError, OSError) as error:
            self._broken = str(error)

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[object]]:
        """Do pieces, and say what became of each."""
        done = [vars(self._do(Piece.of(str(written)))) for written in batch["piece"]]
        return {name: [one[name] for one in done] for name in done[0]}

    def _do(self, piece: Piece) -> Outcome:
        outcome = Outcome(len(piece.places))
        try:
            if self._broken:
                raise Stop(self._broken)
            self._translate(piece, outcome)
            close(self._job, piece.shard, self._store)
        except Stop as error:
            outcome.stop = str(error)
        except OSError as error:
            outcome.stop = unwritable(error, self._job.output)
        return outcome

    def _translate(self, piece: Piece, outcome: Outcome) -> None:
        def begin(request: Request[Token]) -> None:
            self._ledger.begin(piece.shard, self._name, request.token[0])

        requests = self._requests(piece, outcome)
        for result in self._translator.translate(requests, begin):
            if isinstance(result, Made):
                self._keep(piece.shard, result, outcome)
            else:
                self._refuse(piece.shard, *result.request.token, result.why, outcome)

    def _requests(self, piece: Piece, outcome: Outcome) -> Iterator[Request[Token]]:
        """The rows that are not done, read a few ahead; those that can't be are written down."""
        rows, states = self._job.index.rows(piece.shard), self._ledger.shard(piece.shard)

        def read(place: int) -> Request[Token] | InputError:
            row, state = rows[place], states.get(place, RowState())
            if state.begun >= MOST_BEGINNINGS:
                return InputError(f"Its worker ended {state.begun} times while it was made.")
            known = list(self._store.intact(piece.shard, list(state.pictures.values())))
            done = {sample_of(record) for record in known}
            try:
                return request_of(row, self._job.root, (place, row), done)
            except InputError as error:
                return error

        left = [p for p in piece.places if p in rows and not states.get(p, RowState()).done]
        for place, request in zip(left, ahead(left, read), strict=True):
            if isinstance(request, Request):
                yield request
            elif isinstance(request, Stop):
                raise request
            else:
                self._refuse(piece.shard, place, rows[place], str(request), outcome)

    def _keep(self, shard: int, made: Made[Token], outcome: Outcome) -> None:
        place, row = made.request.token
        name = file_name(row.name, made.method, made.factor, made.seed)
        if self._job.format == "tar":
            # What WebDataset takes for the name of a sample ends at the first dot.
            name = f"{name.removesuffix('.png').replace('.', '_')}.png"
        picture = png(made.picture, made.written)
        self._store.put(shard, name, picture)
        record = {
            "row": place,
            "source": row.key,
            "image": name,
            "settings": {**row.settings, "factor": made.factor, "seed": made.seed},
            "sha256": digest(picture),
            "bytes": len(picture),
            "seconds": round(made.seconds, 3),
            "of": made.of,
        }
        self._ledger.add(shard, self._name, record)
        outcome.pictures += 1
        outcome.bytes += len(picture)
        outcome.seconds += made.seconds

    def _refuse(self, shard: int, place: int, row: Row, why: str, outcome: Outcome) -> None:
        record = {"row": place, "source": row.key, "error": why, "run": self._job.run}
        self._ledger.add(shard, self._name, record)
        outcome.errors, outcome.error = outcome.errors + 1, why


def unwritable(error: OSError, output: Path) -> str:
    """What is said when results find no place."""
    return (
        f"{error.strerror or error} in {str(output)!r}; see to its free space and its permissions, "
        "then run the same command again."
    )


def ahead(items: Iterable[T], function: Callable[[T], R]) -> Iterator[R]:
    """What a function makes of items, the next few of them while the caller is busy."""
    waiting = iter(items)
    with ThreadPoolExecutor(max_workers=1) as pool:
        futures = deque(pool.submit(function, i) for i in itertools.islice(waiting, ROWS_AHEAD))
        while futures:
            result = futures.popleft().result()
            futures.extend(pool.submit(function, i) for i in itertools.islice(waiting, 1))
            yield result
