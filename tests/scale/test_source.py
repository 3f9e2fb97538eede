"""Sources: which rows a data set has, whatever form it has."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilvr_latent.errors import InputError
from ilvr_latent.scale.place import Place
from ilvr_latent.scale.row import Row, name_of
from ilvr_latent.scale.source import find_source

from .conftest import a_picture, png_bytes, write_csv, write_tar


def rows(source: object) -> list[Row]:
    return list(find_source(str(source)).rows())


def keys(source: object) -> list[str]:
    return [row.key for row in rows(source)]


def test_a_folder_is_searched_in_order_and_leaves_out_what_is_no_picture(folder: Path) -> None:
    (folder / ".hidden").mkdir()
    a_picture(0).save(folder / ".hidden/h.png")
    assert keys(folder) == ["a.png", "b.png", "c/d.png", "c/e.png", "c/f.png", "g.png"]


def test_a_link_that_leads_back_is_not_followed(folder: Path) -> None:
    (folder / "c/back").symlink_to(folder, target_is_directory=True)
    (folder / "z").symlink_to(folder / "c", target_is_directory=True)
    assert keys(folder)[-3:] == ["z/d.png", "z/e.png", "z/f.png"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["a.png", "b.png", "g.png"]),
        ("c/[de].png", ["d.png", "e.png"]),
        ("**/?.png", ["a.png", "b.png", "c/d.png", "c/e.png", "c/f.png", "g.png"]),
        ("*/f*", ["c/f.png"]),
    ],
)
def test_a_glob_names_the_same_pictures_as_the_shell(
    folder: Path, pattern: str, found: list[str]
) -> None:
    assert keys(folder / pattern) == found


def test_every_row_can_be_read_where_the_source_is_now(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    before = rows(folder)
    folder.rename(moved)
    source = find_source(str(moved))
    assert list(source.rows()) == before
    for row in before:
        assert row.image is not None
        assert row.image.read(source.root) == (moved / row.key).read_bytes()


def test_a_csv_has_settings_and_masks_of_its_rows(folder: Path) -> None:
    table = write_csv(
        folder / "rows.csv",
        ["image", "factor", "seed", "class", "mask", "key"],
        [["a.png", "2.5", "7", "3", "b.png", "first"], ["c/d.png", "", "", "", "", ""]],
    )
    first, second = rows(table)
    assert first.key == "first"
    assert first.settings == {"factor": 2.5, "seed": 7, "class_label": 3, "mask": "b.png"}
    assert first.mask == Place("b.png")
    assert (second.key, second.settings, second.mask) == ("c/d.png", {}, None)


def test_a_manifest_in_a_folder_names_pictures_from_there(folder: Path) -> None:
    write_csv(folder / "c/rows.csv", ["image"], [["d.png"]])
    remaining = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".csv"]
    row = rows(folder / "**/*.csv")[0]
    assert row.image == Place("c/d.png")
    assert folder / "c/d.png" in remaining


def test_jsonl_keeps_types_and_says_which_line_is_none(folder: Path) -> None:
    path = folder / "rows.jsonl"
    lines = [{"image": "a.png", "factor": 8, "seed": 3.0}, {"image": "b.png", "factor": None}]
    texts = [*map(json.dumps, lines), "{broken", "[1]", '{"factor": 2}', "", '{"image": "g.png"}']
    path.write_text("\n".join(texts))
    found = rows(path)
    assert [row.settings for row in found[:2]] == [{"factor": 8.0, "seed": 3}, {}]
    assert [row.key for row in found[2:]] == [f"rows.jsonl#{n}" for n in (3, 4, 5)] + ["g.png"]
    for row, why in zip(found[2:5], ["no JSON object", "no JSON object", "no image"], strict=True):
        assert row.error is not None
        assert why in row.error
    assert found[-1].error is None


@pytest.mark.parametrize(
    ("column", "value"), [("factor", "four"), ("seed", "1.5"), ("kernel", "round")]
)
def test_a_value_that_cannot_be_read_is_the_rows_error(
    folder: Path, column: str, value: str
) -> None:
    bad, good = rows(write_csv(folder / "r.csv", ["image", column], [["a.png", value], ["b.png"]]))
    assert bad.error is not None
    assert column in bad.error and value in bad.error
    assert good.error is None


def test_columns_that_are_no_settings_are_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows(write_csv(folder / "r.csv", ["image", "promt"], [["a.png", "cat"]]))
    assert "promt" in caplog.text


def test_tar_shards_have_a_row_for_each_picture(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    picture = png_bytes(a_picture(0))
    write_tar(
        shards / "00.tar",
        {
            "x.1.txt": b"no picture",
            "a.png": picture,
            "a.json": b'{"factor": 2}',
            "a.mask.png": png_bytes(a_picture(1)),
            "b.jpg": b"not a picture, which is found later",
            "c.json": b"nonsense",
        },
    )
    write_tar(shards / "01.tar", {"a.png": picture})
    first, second, third, fourth = rows(shards)
    assert [row.key for row in (first, second, fourth)] == ["00/a.png", "00/b.jpg", "01/a.png"]
    assert first.settings == {"factor": 2.0, "mask": "a.mask.png"}
    assert first.image is not None and first.mask is not None
    assert first.image.read(shards) == picture
    assert first.mask.read(shards) == png_bytes(a_picture(1))
    assert first.reference == "a.png"
    assert third.error is not None and "JSON" in third.error


@pytest.mark.parametrize("cut", [3000, 4096 + 100])
def test_a_tar_shard_that_is_cut_off_has_the_rows_before_the_cut(tmp_path: Path, cut: int) -> None:
    path = write_tar(tmp_path / "s.tar", {f"{n}.png": png_bytes(a_picture(n)) for n in range(4)})
    path.write_bytes(path.read_bytes()[:cut])
    *before, last = rows(path)
    assert [row.key for row in before] == ["s/0.png", "s/1.png"]
    assert last.error is not None
    first, second = (row.image for row in before)
    assert first is not None and second is not None
    assert first.read(tmp_path) == png_bytes(a_picture(0))
    if cut < 4096:
        with pytest.raises(InputError, match="shorter"):
            second.read(tmp_path)


@pytest.mark.parametrize("kind", ["bytes", "struct", "path"])
def test_parquet_holds_pictures_or_names_them(folder: Path, kind: str) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    data = [png_bytes(a_picture(n)) for n in range(3)]
    (folder / "p").mkdir()
    for n, one in enumerate(data):
        (folder / f"p/{n}.png").write_bytes(one)
    images: dict[str, list[object]] = {
        "bytes": list(data),
        "struct": [{"bytes": one, "path": "x"} for one in data],
        "path": [f"{n}.png" for n in range(3)],
    }
    table = pyarrow.table({"image": images[kind], "factor": [2, None, 4]})
    parquet.write_table(table, folder / "p/rows.parquet", row_group_size=2)
    source = find_source(str(folder / "p/rows.parquet"))
    found = list(source.rows())
    assert [row.settings for row in found] == [{"factor": 2.0}, {}, {"factor": 4.0}]
    assert [row.key for row in found] == [f"rows/{n:06d}" for n in range(3)]
    assert [row.image.read(source.root) for row in found if row.image] == data


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("r.csv", b"picture,factor\na.png,1\n", "image"),
        ("r.tar", b"this is no tar file", "tar"),
        ("r.txt", b"", "r.txt"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path: Path, name: str, data: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=word):
        rows(tmp_path / name)


def test_nothing_is_refused(tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "not there", tmp_path / "*.png"):
        with pytest.raises(InputError, match=re.escape(source.name)):
            rows(source)


@given(st.text(min_size=1))
def test_any_key_makes_a_name_below_the_output(key: str) -> None:
    for dots in (True, False):
        name = name_of(key, dots=dots)
        parts = name.split("/")
        assert all(part not in ("", ".", "..") for part in parts)
        assert not os.path.isabs(name)  # noqa: PTH117
        assert all(len(part.encode(errors="replace")) <= 200 for part in parts)
        assert dots or "." not in name


@given(
    st.builds(
        Row,
        key=st.text(),
        image=st.builds(Place, st.text(), part=st.tuples(st.integers(), st.integers())),
        mask=st.none() | st.builds(Place, st.text()),
        settings=st.dictionaries(st.text(), st.text() | st.integers()),
        error=st.none() | st.text(),
        name=st.text(),
    )
)
def test_a_row_is_the_same_after_it_was_written(row: Row) -> None:
    assert "\n" not in row.written()
    assert Row.of(row.written()) == row
