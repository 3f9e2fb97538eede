"""The index: which rows are in which shard, from run to run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ilvr_latent.scale.index import Index
from ilvr_latent.scale.place import Place
from ilvr_latent.scale.row import Row


def some(*keys: str, **settings: object) -> list[Row]:
    return [Row(key, Place(key), settings=settings) for key in keys]


def shards(index: Index) -> list[dict[int, str]]:
    return [
        {place: row.key for place, row in index.rows(shard).items()}
        for shard in range(index.shards)
    ]


def names(index: Index) -> list[str]:
    return [row.name for n in range(index.shards) for row in index.rows(n).values()]


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index")


def test_rows_are_in_shards_of_a_size(index: Index) -> None:
    index.update(some(*"abcde"), 2)
    assert shards(index) == [{0: "a", 1: "b"}, {0: "c", 1: "d"}, {0: "e"}]
    assert [index.places(n) for n in range(3)] == [(0, 1), (0, 1), (0,)]


def test_the_same_source_changes_nothing(index: Index) -> None:
    index.update(some(*"abcde"), 2)
    before = {path: path.read_bytes() for path in index.folder.iterdir()}
    index.update(some(*"abcde"), 3)
    assert {path: path.read_bytes() for path in index.folder.iterdir()} == before


def test_new_rows_of_a_source_are_new_shards(index: Index) -> None:
    index.update(some(*"bd"), 2)
    index.update(some(*"abcd"), 2)
    assert shards(index) == [{0: "b", 1: "d"}, {0: "a", 1: "c"}]


def test_a_row_that_has_changed_takes_the_place_of_what_it_was(index: Index) -> None:
    index.update(some(*"abc"), 2)
    index.update([*some("a"), *some("b", factor=8), *some("c")], 2)
    assert shards(index) == [{0: "a"}, {0: "c"}, {0: "b"}]
    assert index.places(0) == (0,)
    assert index.rows(2)[0].settings == {"factor": 8}
    assert index.rows(2)[0].name == "b"


def test_a_line_that_could_not_be_read_is_forgotten_when_it_is_mended(index: Index) -> None:
    index.update([*some("a"), Row("rows.csv#3", error="no image"), *some("c")], 4)
    index.update(some(*"abc"), 4)
    assert shards(index) == [{0: "a", 2: "c"}, {0: "b"}]


def test_of_two_rows_with_one_key_the_second_is_an_error_and_stays_one(index: Index) -> None:
    twice = [*some("a"), *some("a"), *some("a", factor=2)]
    index.update(twice, 4)
    index.update(twice, 4)
    assert shards(index) == [{0: "a", 1: "a#2", 2: "a#3"}]
    assert [row.error is None for row in index.rows(0).values()] == [True, False, False]
    index.update(some("a"), 4)
    assert shards(index) == [{0: "a"}]


def test_names_are_keys_without_endings_and_no_two_are_the_same(index: Index) -> None:
    index.update(some("a.png", "a.jpg", "a-2.gif", "c/a.png", "../a.png", "/a.png", "v1.2"), 9)
    assert names(index) == ["a", "a-2", "a-2-2", "c/a", "a-3", "a-4", "v1.2"]


def test_thousands_of_rows_of_one_name_have_their_own(index: Index) -> None:
    index.update((Row(f"{'/' * (n + 1)}x.png", Place("x")) for n in range(3000)), 1000)
    assert len(set(names(index))) == 3000


def test_without_dots_names_are_as_webdataset_wants_them(index: Index) -> None:
    index.update(some("a.b.png", "a_b.png"), 9, dots=False)
    assert names(index) == ["a_b", "a_b-2"]


def test_names_that_are_no_text_can_be_kept(index: Index) -> None:
    key = b"\xff.png".decode(errors="surrogateescape")
    for _ in range(2):
        index.update([Row(key, Place(key))], 4)
    assert shards(index) == [{0: "\\udcff.png"}]
    assert index.rows(0)[0].image == Place(key)


@pytest.mark.parametrize("written", [1, 2])
def test_an_index_that_was_cut_short_is_completed(index: Index, written: int) -> None:
    class Killed(BaseException):
        pass

    def rows() -> Iterator[Row]:
        yield from some(*"abcde"[: 2 * written])
        raise Killed

    with pytest.raises(Killed):
        index.update(rows(), 2)
    index.update(some(*"abcde"), 2)
    assert shards(index) == [{0: "a", 1: "b"}, {0: "c", 1: "d"}, {0: "e"}]
