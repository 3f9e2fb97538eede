"""A run: the rows that are left, in pieces, over the workers, until all are settled."""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .job import Job, Piece, rows_in, rows_of_a_piece
from .machine import Workers
from .review import review
from .worker import Outcome, Worker, unwritable

MANIFEST = "manifest.jsonl"
# One is done, the next one is there when it ends.
PIECES_AHEAD = 2


@dataclass
class Summary:
    """What a run did.

    Attributes:
        rows: of the data set.
        kept: of them that were done before.
        translated: of them that this run did.
        pictures: that it made.
        errors: rows that it could not do.
        bytes: of the pictures.
        seconds_of_workers: that the pictures took, of all workers together.
    """

    rows: int
    kept: int
    translated: int = 0
    pictures: int = 0
    errors: int = 0
    bytes: int = 0
    seconds_of_workers: float = 0.0


def pieces_left(ray: Any, job: Job) -> list[Piece]:
    """The rows that are not done, a piece for each shard; pictures are held to their digests."""
    shards = job.index.shards
    if job.ledger.is_empty:
        return [Piece(shard, job.index.places(shard)) for shard in range(shards)]

    def look(batch: dict[str, Any]) -> dict[str, list[str]]:
        store, pieces, stop = job.store(f"review-{uuid.uuid4().hex[:12]}"), list[str](), ""
        try:
            pieces += [review(job, int(shard), store).written() for shard in batch["shard"]]
        except OSError as error:
            stop = unwritable(error, job.output)
        return {"piece": pieces or [""], "stop": [stop] * max(1, len(pieces))}

    blocks = max(1, min(shards, PIECES_AHEAD * int(ray.cluster_resources().get("CPU", 1))))
    dataset = ray.data.from_items([{"shard": n} for n in range(shards)], override_num_blocks=blocks)
    pieces = []
    for row in dataset.map_batches(look, batch_size=1).iter_rows():
        if row["stop"]:
            raise InputError(row["stop"])
        pieces.append(Piece.of(row["piece"]))
    return sorted((p for p in pieces if p.places), key=lambda piece: piece.shard)


def run(
    ray: Any,
    job: Job,
    workers: Workers,
    shard_size: int,
    max_errors: int | None,
    begin: Callable[[int, int], Callable[[Outcome], None]],
) -> Summary:
    """Translate what is left of a data set.

    Args:
        ray: connected.
        job: whose index is made.
        workers: to use.
        shard_size: rows of a shard.
        max_errors: rows that may fail before the run stops; ``None`` for any number.
        begin: called with the numbers of all rows and of those that are left; what it returns is
            called with each outcome.

    Raises:
        InputError: the run stopped; what is finished is kept.
    """
    job.store("").sweep()
    shards = job.index.shards
    left = pieces_left(ray, job)
    rows, to_do = sum(len(job.index.places(shard)) for shard in range(shards)), rows_in(left)
    size = rows_of_a_piece(to_do, workers.count, job.batch_size, shard_size)
    pieces = [part for piece in left for part in piece.cut(size)]
    summary = Summary(rows, rows - to_do)
    tell = begin(rows, to_do)
    try:
        for outcome in _outcomes(ray, job, workers, pieces):
            _count(summary, outcome)
            tell(outcome)
            _check(summary, outcome, max_errors)
    except BaseException:
        # What stopped the run may keep this from being written, and is what must be said.
        with contextlib.suppress(OSError):
            job.ledger.merge(shards, job.output / MANIFEST)
        raise
    job.ledger.merge(shards, job.output / MANIFEST)
    return summary


def _outcomes(ray: Any, job: Job, workers: Workers, pieces: list[Piece]) -> Iterator[Outcome]:
    if not pieces:
        return
    written = [{"piece": piece.written()} for piece in pieces]
    strategy = ray.data.ActorPoolStrategy(
        size=min(workers.count, len(pieces)), max_tasks_in_flight_per_actor=PIECES_AHEAD
    )
    dataset = ray.data.from_items(written, override_num_blocks=len(pieces)).map_batches(
        Worker,
        fn_constructor_args=(job,),
        batch_size=1,
        compute=strategy,
        **workers.resources,
    )
    try:
        for row in dataset.iter_rows():
            yield Outcome(**row)
    except ray.exceptions.RayTaskError:
        # A defect of ours.
        raise
    except ray.exceptions.RayError as error:
        raise InputError(
            f"Ray could not go on ({type(error).__name__}: {str(error).strip().splitlines()[-1]}); "
            "run the same command again, and it goes on from here."
        ) from error


def _count(summary: Summary, outcome: Outcome) -> None:
    summary.translated += outcome.rows - outcome.errors
    summary.pictures += outcome.pictures
    summary.errors += outcome.errors
    summary.bytes += outcome.bytes
    summary.seconds_of_workers += outcome.seconds


def _check(summary: Summary, outcome: Outcome, max_errors: int | None) -> None:
    if outcome.stop:
        raise InputError(outcome.stop)
    if max_errors is not None and summary.errors > max_errors:
        raise InputError(
            f"{summary.errors} rows could not be translated, and --max-errors is {max_errors}; "
            f"{MANIFEST} has them all, and the last one says: {outcome.error}"
        )


@contextlib.contextmanager
def alone(job: Job) -> Iterator[None]:
    """No other run writes to the destination meanwhile; a killed one does not lock it.

    Raises:
        InputError: another one does.
    """
    job.hidden.mkdir(parents=True, exist_ok=True)
    handle = os.open(job.hidden / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError(
            f"Another run writes to {str(job.output)!r}; wait for it, or choose another --output."
        ) from None
    finally:
        os.close(handle)
