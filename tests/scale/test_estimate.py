"""What is said before and during a run: estimates, batches, pieces, progress."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ilvr_latent.cli.common import duration
from ilvr_latent.scale.estimate import Estimate, Sample, count_and_draw, counted_calls
from ilvr_latent.scale.job import Piece, rows_in, rows_of_a_piece
from ilvr_latent.scale.memory import FILLED, MOST, batch_that_fits
from ilvr_latent.scale.place import Place
from ilvr_latent.scale.progress import Progress
from ilvr_latent.scale.row import Row
from ilvr_latent.scale.source import Source
from ilvr_latent.scale.worker import Outcome, ahead


def test_an_estimate_is_the_sample_times_the_rows() -> None:
    sample = Sample(rows=4, errors=1, pictures=6, calls=50.0, start=3.0, seconds=2.0, bytes=1000.0)
    estimate = Estimate.of(100, sample, workers=5)
    assert (estimate.rows, estimate.pictures, estimate.calls) == (100, 150, 7500)
    assert estimate.seconds == 3 + 150 * 2 / 5
    assert estimate.bytes == 150_000


def test_the_network_is_what_computes_most_and_a_batch_counts_its_pictures() -> None:
    class Pipeline(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Sequential(nn.Linear(8, 64), nn.Linear(64, 8))
            self.encoder = nn.Linear(8, 100)

    pipeline = Pipeline()
    x = torch.zeros(3, 8)
    with counted_calls() as calls:
        pipeline.encoder(x)
        for _ in range(5):
            pipeline.network(x)
        assert calls() == 15
    pipeline.network(x)
    assert calls() == 15


def test_rows_are_counted_and_each_may_be_drawn() -> None:
    rows = [Row(str(n), Place(str(n))) for n in range(50)]
    seen = set()
    for seed in range(200):
        count, drawn = count_and_draw(Source(Path(), lambda: iter(rows)), 4, seed)
        assert count == 50
        assert len({row.key for row in drawn}) == 4
        seen |= {row.key for row in drawn}
    assert len(seen) == 50


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**8))
def test_a_batch_fits_and_the_next_one_would_not(weights: int, picture: int, room: int) -> None:
    def peak(pictures: int) -> int:
        return weights + pictures * picture

    size = batch_that_fits(peak, room)
    assert size == 1 or peak(size) <= FILLED * room
    assert size == MOST or peak(2 * size) > FILLED * room


@given(st.integers(0, 10**9), st.sets(st.integers(0, 300)))
def test_a_piece_is_the_same_after_it_was_written(shard: int, places: set[int]) -> None:
    piece = Piece(shard, tuple(sorted(places)))
    assert Piece.of(piece.written()) == piece


@given(st.integers(1, 10**7), st.integers(1, 64), st.sampled_from([1, 8, 64]), st.integers(1, 1024))
def test_pieces_are_full_batches_and_no_longer_than_shards(
    rows: int, workers: int, batch: int, shard: int
) -> None:
    size = rows_of_a_piece(rows, workers, batch, shard)
    assert size % batch == 0
    assert size <= max(shard, batch)
    parts = list(Piece(0, tuple(range(min(rows, 1000)))).cut(size))
    assert rows_in(parts) == min(rows, 1000)


def test_progress_says_rows_rate_and_the_time_that_is_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = [0.0]
    progress = Progress(lambda: clock[0])
    tell = progress.begin(1000, 800)
    assert "200 of 1,000 rows are done already" in capsys.readouterr().err
    clock[0] = 10.0
    tell(Outcome(100))
    clock[0] = 60.0
    tell(Outcome(100, errors=3))
    assert (
        capsys.readouterr().err == "ilvr: 400 of 1,000 rows, 2.00 rows/s, 5.0 min left, 3 errors\n"
    )
    clock[0] = 61.0
    tell(Outcome(100))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1.2, "1 s"), (119, "119 s"), (120, "2.0 min"), (9000, "2.5 h"), (10**6, "11.6 days")],
)
def test_a_duration_is_in_the_unit_that_it_fills(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_items_are_taken_in_order_and_only_a_few_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(100):
            taken.append(n)
            yield n

    results = ahead(items(), lambda n: n * n)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(taken) < 10
    assert list(results) == [n * n for n in range(3, 100)]
