"""``ilvr translate`` that cannot begin: one sentence, and nothing is written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ilvr_latent.cli import main
from ilvr_latent.scale.job import Job
from ilvr_latent.scale.run import alone

Arguments = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--factor", "0.2"], ["0.2"]),
        (["--samples", "0"], ["--samples is 0"]),
        (["--shard-size", "0"], ["--shard-size is 0"]),
        (["--batch-size", "0"], ["--batch-size is 0"]),
        (["--workers", "many"], ["--workers", "'many'"]),
        (["--workers", "0"], ["--workers", "'0'"]),
        (["--gpus-per-worker", "1.5"], ["--gpus-per-worker is 1.5"]),
        (["--gpus-per-worker", "-1"], ["--gpus-per-worker is -1"]),
        (["--max-errors", "-1"], ["--max-errors is -1"]),
        (["--device", "cuda:1"], ["cuda:1", "auto"]),
        (["--prompt", "cat"], ["--prompt", "--pipeline"]),
        (["--weight", "x"], ["x"]),
        (["--model", "nowhere.pt"], ["nowhere.pt"]),
        (["--address", "127.0.0.1:1"], ["127.0.0.1:1", "ray start"]),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    arguments: Arguments,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: list[str],
) -> None:
    if "--address" in options:
        pytest.importorskip("ray", reason="ray is not installed")
    assert main(arguments(folder, *options)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("ilvr")
    for word in words:
        assert word in said.err
    assert not (tmp_path / "out/.ilvr").exists()


def test_neither_factor_nor_recipe_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", str(folder), "--output", str(folder.parent / "out")]) == 2
    assert "--factor" in capsys.readouterr().err


def test_a_destination_in_the_source_is_refused(
    arguments: Arguments, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments(folder), "--output", str(folder / "out")]) == 2
    assert "lies in the source" in capsys.readouterr().err


def test_without_ray_it_says_how_to_get_it(
    arguments: Arguments,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name == "ray" or name.startswith("ray.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(arguments(folder)) == 2
    assert "pip install" in capsys.readouterr().err


def test_two_runs_cannot_write_to_one_destination(
    make_job: Callable[..., Job], folder: Path
) -> None:
    job = make_job(folder)
    with alone(job), pytest.raises(ValueError, match="Another run"), alone(job):
        pass
    with alone(job):
        pass
