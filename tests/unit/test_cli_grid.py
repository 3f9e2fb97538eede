"""``ilvr grid`` and ``ilvr report``: the cells are what ``ilvr sample`` makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.fixture
def command(
    ilvr: Command, tiny_checkpoint: Callable[..., Path], references: Path, tmp_path: Path
) -> Command:
    """A command for one reference that works; options that are given again count."""

    def run(name: str, *options: object) -> Outcome:
        return ilvr(
            name,
            *("--model", tiny_checkpoint(), "--reference", references / "b.png"),
            *("--steps", 4, "--output", tmp_path / f"{name}.png", "--device", "cpu"),
            *options,
        )

    return run


def test_a_cell_is_what_the_options_of_its_place_make(
    command: Command, sampling: Command, references: Path, output: Path, tmp_path: Path
) -> None:
    cells = tmp_path / "cells"
    axes = ("--rows", "factor=2,4", "--columns", "seed: 3, 5", "--weight", 0.8)
    outcome = command("grid", *axes, "--cells", cells, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    assert record["rows"] == {"name": "factor", "values": [2.0, 4.0]}
    assert [Path(name).name for name in record["files"]] == [
        f"row{r}_column{c}.png" for r in (1, 2) for c in (1, 2)
    ]
    for row, factor in enumerate((2, 4), 1):
        for column, seed in enumerate((3, 5), 1):
            same = ("--factor", factor, "--seed", seed, "--weight", 0.8, "--samples", 1)
            assert sampling("--reference", references / "b.png", *same).status == 0
            cell = cells / f"row{row}_column{column}.png"
            made = pixels(output / f"b_N{factor}_seed{seed}.png")
            assert np.abs(pixels(cell) - made).max() <= 1
            with Image.open(cell) as picture:
                picture.load()
                settings = json.loads(picture.info["ilvr"])
            assert (settings["factor"], settings["seed"]) == (factor, seed)
    with Image.open(tmp_path / "grid.png") as sheet:
        assert sheet.width > 4 * 128
        assert sheet.height > 2 * 128


@pytest.mark.parametrize(
    "axis",
    [
        *("end=1,0.5", "start=0,0.5", "weight=0:1,1:0|0.5", "sampler=ddpm,ddim", "steps=2,2,1|4"),
        *("eta=0,1", "kernel=box,cubic", "space=state,prediction", "variance=auto,fixed_large"),
        *("reference-noise=fresh,fixed", "band=coarse,fine"),
    ],
)
def test_every_axis_changes_the_picture(command: Command, tmp_path: Path, axis: str) -> None:
    given = axis.replace("steps=2,2,1", "steps=2,1")
    base = ("--sampler", "ddim") if axis.startswith("eta") else ()
    outcome = command("grid", "--columns", given, "--cells", tmp_path / "cells", *base)
    assert (outcome.status, outcome.err) == (0, "")
    first, second = (pixels(tmp_path / "cells" / f"row1_column{c}.png") for c in (1, 2))
    assert (first != second).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rows", "factor=2", "--columns", "factor=4"], "both vary factor"),
        (["--columns", "factor=4,0.5"], "0.5"),
        (["--columns", "colour=red"], "colour"),
        (["--columns", "eta=0,2"], "eta is 2"),
        (["--columns", "end=1,0"], "window"),
        (["--columns", "sampler=ddim,euler"], "'euler'"),
        (["--columns", "prompt=tea"], "--prompt belongs to --pipeline"),
        (["--columns", "class_label=3"], "class label is 3"),
        (["--columns", "steps=4,0"], "'0'"),
        (["--columns", "weight=1,2"], "2.0"),
        (["--columns", "end=0.5", "--step-range", "0", "1"], "--step-range"),
        (["--columns", "seed=1", "--output", "grid"], "'grid'"),
        (["--columns", "seed=1", "--batch-size", "0"], "--batch-size"),
        (["--columns", "start=0,0.5", "--end", "0.6"], "holds none of the 4 steps"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("no_sampling")
def test_a_bad_cell_is_named_before_anything_is_sampled(
    command: Command, tmp_path: Path, options: list[str], words: str
) -> None:
    command("grid", *options).is_refusal_of(words)
    assert not (tmp_path / "grid.png").exists()


@pytest.mark.usefixtures("no_sampling")
def test_one_reference(command: Command, references: Path) -> None:
    for name in ("grid", "report"):
        axis = ("--columns", "seed=1") if name == "grid" else ()
        command(name, *axis, "--reference", references).is_refusal_of("3 pictures")


def test_a_report_has_a_figure_and_its_numbers(command: Command, tmp_path: Path) -> None:
    outcome = command("report", "--factor", 2, "--end", 0.5, "--samples", 2, "--kernel", "box")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("2 of 5 states matched")
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["with"]["matched"] == [1, 2]
    assert record["without"]["matched"] == []
    assert record["with"]["residuals"]["2"] < record["without"]["residuals"]["2"]
    with Image.open(tmp_path / "report.png") as picture:
        assert picture.width == 960
        assert picture.height > 500
    printed = json.loads(command("report", "--json").out)
    assert printed["with"]["matched"] == [1, 2, 3, 4]


@pytest.mark.usefixtures("no_sampling")
def test_a_report_is_of_one_batch(command: Command) -> None:
    command("report", "--samples", 17).is_refusal_of("--samples is 17", "--batch-size of 16")
