"""``ilvr evaluate`` where what an earlier run left is damaged: one sentence names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from ilvr_latent import InputError
from ilvr_latent.evaluation.store import RowStore

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
ONE_ROW = ("--factors", 2, "--ranges", "--samples", 2)
ROW = "N2_t1000-0"


@pytest.mark.usefixtures("no_sampling")
@pytest.mark.parametrize("text", [b"", b'{"seed": 0', b"[]", b"5", b"\xff\xfe{", b"[" * 100_000])
def test_settings_that_cannot_be_read_are_named(
    evaluate: Command, output: Path, text: bytes
) -> None:
    output.mkdir()
    (output / "settings.json").write_bytes(text)
    evaluate(*ONE_ROW).is_refusal_of("settings.json", "damaged", "--output")


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff"])
def test_what_is_known_of_a_row_is_named(tmp_path: Path, text: bytes) -> None:
    store = RowStore(tmp_path, ["a"], samples=1)
    store.record("row", {"steps": 5})
    assert store.records() == {"row": {"steps": 5}}
    (tmp_path / "row" / "row.json").write_bytes(text)
    with pytest.raises(InputError, match=r"row\.json' is damaged"):
        store.records()


@pytest.mark.parametrize("side", [8, 32])
def test_a_kept_picture_of_another_size_is_named(
    evaluate: Command, output: Path, side: int
) -> None:
    assert evaluate(*ONE_ROW).status == 0
    path = output / "pictures" / ROW / "01_b_0.png"
    Image.new("RGB", (side, side)).save(path)
    evaluate(*ONE_ROW).is_refusal_of("01_b_0.png", "another size")


def test_a_kept_picture_that_is_none_is_named(evaluate: Command, output: Path) -> None:
    assert evaluate(*ONE_ROW).status == 0
    (output / "pictures" / ROW / "01_b_0.png").write_bytes(b"\x89PNG")
    evaluate(*ONE_ROW).is_refusal_of("01_b_0.png", "cannot be read as a picture")


def test_a_folder_of_pictures_of_another_size_is_named(evaluate: Command, output: Path) -> None:
    assert evaluate(*ONE_ROW).status == 0
    for path in (output / "pictures" / ROW).glob("*.png"):
        Image.new("RGB", (8, 8)).save(path)
    evaluate(*ONE_ROW).is_refusal_of(ROW, "another size")
