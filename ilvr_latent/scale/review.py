"""What is left to do in a shard, by what is on disk; and its end."""

from __future__ import annotations

from collections.abc import Mapping

from .job import Job, Piece
from .ledger import Record, RowState, sample_of
from .store import Store


def review(job: Job, shard: int, store: Store) -> Piece:
    """Look at every picture of a shard, write down which are there, and say which rows are left.

    Nobody else may work at the shard meanwhile.

    Args:
        job: of the shard.
        shard: which.
        store: of the calling process.
    """
    rows, states = job.index.rows(shard), job.ledger.shard(shard)
    known = [record for state in states.values() for record in state.pictures.values()]
    intact = list(store.intact(shard, known))
    kept: dict[int, RowState] = {place: RowState() for place in rows}
    for record in intact:
        if record["row"] in kept:
            kept[record["row"]].pictures[sample_of(record)] = record
    for place, state in kept.items():
        if not state.done and place in states:
            state.error = states[place].error
    left = tuple(place for place, state in kept.items() if not state.done)
    changed = records_of(kept) != records_of(states) or job.ledger.has_parts(shard)
    if not left and (changed or not store.is_packed(shard)):
        store.pack(shard, [r for r in records_of(kept) if "image" in r])
    if changed:
        job.ledger.close(shard, records_of(kept))
    return Piece(shard, left)


def close(job: Job, shard: int, store: Store) -> None:
    """End a shard whose rows are all settled; of one that has others, do nothing.

    Args:
        job: of the shard.
        shard: which.
        store: of the calling process.

    Raises:
        OSError: there is no place for its file.
    """
    states = job.ledger.shard(shard)
    rows = job.index.rows(shard)
    if not all(place in states and states[place].is_settled(job.run) for place in rows):
        return
    kept = {place: states[place] for place in rows}
    try:
        store.pack(shard, [r for r in records_of(kept) if "image" in r])
    except FileNotFoundError:
        # Another worker, which ended its piece at the same moment, has packed it and closes it.
        if not store.is_packed(shard):
            raise
        return
    job.ledger.close(shard, records_of(kept))


def records_of(states: Mapping[int, RowState]) -> list[Record]:
    """What the manifest says of rows: a line for each picture, and one for an error."""
    return [record for place in sorted(states) for record in states[place].records]
