"""Which pictures the commands make together, and how many at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ilvr_latent.adm.unet import ADM
from ilvr_latent.cli import batches
from ilvr_latent.cli.batches import MOST, pictures_at_a_time

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
CPU = torch.device("cpu")
GIB = 2**30


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures the network was given at each call."""
    seen: list[int] = []
    forward = ADM.forward

    def counted(self: ADM, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        seen.append(len(x))
        return forward(self, x, t, y)

    monkeypatch.setattr(ADM, "forward", counted)
    return seen


@pytest.fixture
def grid(
    ilvr: Command, tiny_checkpoint: Callable[..., Path], references: Path, tmp_path: Path
) -> Callable[..., list[Any]]:
    """The cells of a grid, row by row."""
    folders = (tmp_path / f"cells{k}" for k in itertools.count())

    def run(*options: object, **config: object) -> list[Any]:
        folder = next(folders)
        outcome = ilvr(
            *("grid", "--model", tiny_checkpoint(**config), "--reference", references / "b.png"),
            *("--steps", 4, "--output", tmp_path / "grid.png", "--device", "cpu"),
            *("--cells", folder, *options),
        )
        assert (outcome.status, outcome.err) == (0, "")
        return [pixels(path) for path in sorted(folder.iterdir())]

    return run


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ("factor=2,4", "end=1,0.5"),
        ("weight=1,0,0.5", "seed=3,5"),
        ("space=state,prediction", "kernel=box,cubic"),
        ("band=coarse,fine", "reference-noise=fresh,fixed,hybrid"),
    ],
)
@pytest.mark.parametrize("sampler", ["ddpm", "unipc", "pc", "ode"])
def test_cells_of_one_schedule_are_one_batch_and_what_they_are_alone(
    grid: Callable[..., list[Any]], calls: list[int], rows: str, columns: str, sampler: str
) -> None:
    axes = ("--rows", rows, "--columns", columns, "--sampler", sampler)
    together = grid(*axes)
    assert set(calls) == {len(together)}
    calls.clear()
    alone = grid(*axes, "--batch-size", 1)
    assert set(calls) == {1}
    # As bytes: the rounding of the network in a batch of another size.
    for a, b in zip(together, alone, strict=True):
        assert np.abs(a - b).max() <= 1


def test_classes_are_of_pictures(grid: Callable[..., list[Any]], calls: list[int]) -> None:
    axes = ("--columns", "class-label=0,2", "--rows", "factor=2,4")
    together = grid(*axes, num_classes=3)
    assert set(calls) == {4}
    for a, b in zip(together, grid(*axes, "--batch-size", 1, num_classes=3), strict=True):
        assert np.abs(a - b).max() <= 1


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        (["--columns", "steps=2,4", "--rows", "factor=2,4"], {2}),
        (["--columns", "sampler=ddpm,ddim", "--rows", "factor=2,4"], {2}),
        (["--columns", "factor=2,4,8", "--batch-size", "2"], {2, 1}),
        # What shares its steps with a batch, or asks the network itself, does not share it.
        (["--columns", "factor=2,4", "--sampler", "ode", "--tolerance", "0.1"], {1}),
        (["--columns", "factor=2,4", "--loss", "colours", "--loss-weight", "1"], {1}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_has_another_run_has_another_batch(
    grid: Callable[..., list[Any]], calls: list[int], options: list[str], sizes: set[int]
) -> None:
    grid(*options)
    assert set(calls) == sizes


def test_samples_of_all_factors_and_both_kinds_of_a_report_are_one_batch(
    sampling: Command,
    ilvr: Command,
    tiny_checkpoint: Callable[..., Path],
    references: Path,
    tmp_path: Path,
    calls: list[int],
) -> None:
    assert sampling("--factor", 2, 4).status == 0
    assert calls == [12] * 4  # three references, two factors, two samples
    calls.clear()
    report = (
        *("report", "--model", tiny_checkpoint(), "--reference", references / "b.png"),
        *("--steps", 4, "--output", tmp_path / "report.png", "--device", "cpu", "--samples", 3),
    )
    assert ilvr(*report).status == 0
    assert calls == [6] * 4
    calls.clear()
    assert ilvr(*report, "--batch-size", 3).status == 0
    assert calls == [3] * 8
    calls.clear()
    assert ilvr(*report, "--method", "sdedit").status == 0
    assert calls == [3] * (2 + 4)


def test_a_batch_has_room_in_half_of_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_a_time(free: int | None, side: int) -> int:
        monkeypatch.setattr(batches, "free_memory", lambda device: free)
        return pictures_at_a_time(None, (side, side), CPU)

    assert at_a_time(16 * GIB, 64) == at_a_time(None, 512) == MOST
    assert at_a_time(16 * GIB, 256) == MOST
    assert at_a_time(4 * GIB, 256) == 4  # of half a GiB each, at 8 KiB a pixel
    assert at_a_time(4 * GIB, 1024) == at_a_time(0, 64) == 1
    assert pictures_at_a_time(40, (1024, 1024), CPU) == 40


def test_free_memory_is_that_of_the_machine_and_of_its_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine, limit, used = (tmp_path / name for name in ("meminfo", "max", "current"))
    monkeypatch.setattr(batches, "MEMORY", machine)
    monkeypatch.setattr(batches, "LIMITS", ((limit, used),))
    assert batches.free_memory(CPU) is None
    machine.write_text("MemTotal:  9 kB\nMemAvailable:       4 kB\n")
    assert batches.free_memory(CPU) == 4096
    limit.write_text("5000\n")
    used.write_text("2000\n")
    assert batches.free_memory(CPU) == 3000
    limit.write_text("max\n")
    assert batches.free_memory(CPU) == 4096
