"""``ilvr grid`` and ``ilvr report`` with a tiny pipeline on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ilvr_latent.cli import main
from tests.pipelines.support.tiny import saved_sd

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_sd(tmp_path_factory.mktemp("pipelines"))


@pytest.fixture
def command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """A command that works; options that are given again count."""
    reference = tmp_path / "a.png"
    Image.radial_gradient("L").resize((40, 30)).convert("RGB").save(reference)

    def run(name: str, *options: object) -> tuple[int, str, str]:
        arguments = [
            *(name, "--pipeline", folder, "--reference", reference, "--steps", 3),
            *("--device", "cpu", "--output", tmp_path / f"{name}.png", *options),
        ]
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def cells(folder: Path) -> list[Any]:
    made = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as picture:
            made.append(np.asarray(picture.convert("RGB")).astype(int))
    return made


def test_settings_of_a_cell_do_not_stay_for_the_next(command: Command, tmp_path: Path) -> None:
    """Schedulers and the form that starts from a picture are exchanged on one pipeline."""
    axes = ("--rows", "scheduler=UniPCMultistep,DDIM,UniPCMultistep", "--columns", "strength=1,0.7")
    status, _, err = command("grid", "--prompt", "a cat", *axes, "--cells", tmp_path / "cells")
    assert status == 0, err
    (uni, weak, ddim, other, again, same) = cells(tmp_path / "cells")
    assert (uni == again).all()
    assert (weak == same).all()
    for one, two in ((uni, ddim), (uni, weak), (weak, other)):
        assert (one != two).any()


def test_prompts_are_an_axis(command: Command, tmp_path: Path) -> None:
    axes = ("--rows", "prompt=a cat|a red, big dog", "--columns", "guidance-scale=1,6")
    status, out, err = command("grid", *axes, "--cells", tmp_path / "cells", "--json")
    assert status == 0, err
    assert json.loads(out)["rows"]["values"] == ["a cat", "a red, big dog"]
    made = cells(tmp_path / "cells")
    assert len({picture.tobytes() for picture in made}) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--columns", "strength=1,0.1"), "at least 0.34 with 3 steps"),
        (("--columns", "scheduler=DDIM,DDMI"), "'DDMI'"),
        (("--end", "0.5", "--columns", "start=0,0.4"), "holds none of the 3 steps"),
        (("--columns", "sampler=ddim"), "--sampler is for"),
        (("--columns", "steps=3,ddim2"), "'ddim2'"),
    ],
)
def test_a_bad_cell_is_named_before_anything_is_sampled(
    command: Command, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], words: str
) -> None:
    def called(*_: object, **__: object) -> None:
        raise AssertionError("sampled")

    monkeypatch.setattr("diffusers.UNet2DConditionModel.forward", called)
    status, _, err = command("grid", "--prompt", "a cat", *options)
    assert status == 2
    assert words in err


def test_a_report_sees_the_estimates_of_a_pipeline(command: Command, tmp_path: Path) -> None:
    options = ("--prompt", "a cat", "--factor", 2, "--kernel", "box", "--step-range", 0, 1)
    status, out, err = command("report", *options, "--json")
    assert status == 0, err
    record = json.loads(out)
    assert record["with"]["matched"] == [1, 2]
    assert sorted(record["with"]["residuals"]) == ["0", "1", "2", "3"]
    assert record["without"]["matched"] == []
    assert (tmp_path / "report.png").is_file()
