"""Results on disk: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ilvr_latent import InputError
from ilvr_latent.pictures.files import output_folder, written_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_finished_file_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with written_whole(path) as partial:
        assert partial.parent == tmp_path
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["out.txt"]


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, "old"])
def test_an_interruption_leaves_what_was_there(
    interruption: type[BaseException], before: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "out.txt"
    if before is not None:
        path.write_text(before)
    with pytest.raises(interruption), written_whole(path) as partial:
        partial.write_text("half")
        raise interruption
    assert names(tmp_path) == ([] if before is None else ["out.txt"])
    assert before is None or path.read_text() == before


def test_a_temporary_file_that_is_gone_is_no_second_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="first"), written_whole(tmp_path / "out") as partial:
        partial.unlink()
        raise ValueError("first")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_result_is_for_whoever_the_umask_lets_read(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with written_whole(tmp_path / "out") as partial:
            partial.touch()
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == mode


def test_an_output_folder_is_made_with_its_parents_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert output_folder(folder) == folder
    assert names(folder) == []
    assert output_folder(folder) == folder


@pytest.mark.parametrize("beneath", ["", "sub", "sub/sub"])
def test_a_file_in_the_place_of_the_output_folder_is_named(beneath: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    folder = tmp_path / "file" / beneath
    with pytest.raises(InputError) as error:
        output_folder(folder)
    assert repr(str(folder)) in str(error.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # root, who runs many containers, may write anywhere
    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    with pytest.raises(InputError, match="Permission denied"):
        output_folder(tmp_path)
