"""``ilvr grid --pipeline``: cells of one batch are what they are alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ilvr_latent.cli import main
from ilvr_latent.cli.pipeline_maker import PipelinePictures
from tests.pipelines.support.tiny import saved_sd

Grid = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_sd(tmp_path_factory.mktemp("pipelines"))


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each batch had."""
    seen: list[int] = []
    make = PipelinePictures.make

    def counted(self: PipelinePictures, *given: Any, **named: Any) -> Any:
        seen.append(len(given[2]))
        return make(self, *given, **named)

    monkeypatch.setattr(PipelinePictures, "make", counted)
    return seen


@pytest.fixture
def grid(folder: Path, tmp_path: Path) -> Grid:
    """Cells, row by row, of the options and a folder's name."""
    reference = tmp_path / "a.png"
    Image.radial_gradient("L").resize((40, 30)).convert("RGB").save(reference)

    def run(name: str, *options: object) -> list[Any]:
        arguments = [
            *("grid", "--pipeline", folder, "--prompt", "a cat", "--reference", reference),
            *("--steps", 4, "--device", "cpu", "--output", tmp_path / "grid.png"),
            *("--cells", tmp_path / name, *options),
        ]
        assert main([str(argument) for argument in arguments]) == 0
        cells = []
        for path in sorted((tmp_path / name).iterdir()):
            with Image.open(path) as picture:
                cells.append(np.asarray(picture.convert("RGB")).astype(int))
        return cells

    return run


@pytest.mark.parametrize(
    "axes",
    [
        ("--rows", "factor=2,4", "--columns", "end=1,0.5"),
        ("--rows", "prompt=a cat|a red cat", "--columns", "seed=1,2"),
        ("--rows", "negative_prompt=cat|red", "--columns", "weight=0,1", "--guidance-scale", "4"),
        ("--rows", "space=state,prediction", "--columns", "weight=1,0.5", "--strength", "0.5"),
    ],
    ids=lambda axes: " ".join(axes),
)
def test_cells_of_one_batch_are_what_they_are_alone(
    grid: Grid, sizes: list[int], axes: tuple[str, ...]
) -> None:
    together = grid("together", *axes)
    assert sizes == [4]
    alone = grid("alone", *axes, "--batch-size", "1")
    assert sizes == [4, 1, 1, 1, 1]
    for a, b in zip(together, alone, strict=True):
        assert np.abs(a - b).max() <= 1


def test_a_corrector_is_not_shared(grid: Grid, sizes: list[int]) -> None:
    axes = ("--columns", "end=1,0.5", "--rows", "seed=1,2", "--scheduler", "UniPCMultistep")
    together = grid("together", *axes)
    assert sizes == [2, 2]
    for a, b in zip(together, grid("alone", *axes, "--batch-size", "1"), strict=True):
        assert np.abs(a - b).max() <= 1


def test_what_the_pipeline_is_called_with_is_not_shared(grid: Grid, sizes: list[int]) -> None:
    grid("cells", "--columns", "guidance-scale=2,4", "--rows", "steps=2,4")
    assert sizes == [1, 1, 1, 1]
