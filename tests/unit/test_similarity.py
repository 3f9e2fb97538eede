"""One number in place of N, range and weight: its table, the settings, and its doors."""

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

from ilvr_latent import InputError, Reference, dial, sample
from ilvr_latent.similarity import LAST, Dial, at_position, measured, nearest_cell

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
CELLS = (1, 8, 16, 32)


def test_the_table_has_every_measured_cell_and_rises_from_free_to_held() -> None:
    assert tuple(measured()) == CELLS
    for one in measured().values():
        similarities, places = zip(*one.positions, strict=True)
        assert (similarities[0], places[0]) == (0, 0)
        assert (similarities[-1], places[-1]) == (100, LAST)
        assert all(a < b for a, b in itertools.pairwise(similarities))
        assert all(a < b for a, b in itertools.pairwise(places))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("side", [1, 6, 8, 12, 16, 24, 32, 48, 64, 128, 1000])
def test_at_every_side_it_rises_from_free_to_held(cell: int, side: int) -> None:
    dials = [dial(s, cell, side) for s in range(101)]
    for before, after in itertools.pairwise(dials):
        assert after.share <= before.share
        assert after.end >= before.end
        assert after.weight >= before.weight
        assert after != before
    assert dials[0].weight == 0
    assert (dials[-1].factor(side), dials[-1].end, dials[-1].weight) == (1, 1, 1)


@pytest.mark.parametrize("cell", CELLS)
def test_at_the_measured_side_it_is_what_was_measured(cell: int) -> None:
    one = measured()[cell]
    for similarity, position in one.positions:
        assert dial(similarity, cell, one.side) == dial(similarity, cell) == at_position(position)


@pytest.mark.parametrize("cell", (8, 16))
def test_with_more_cells_n_stays_a_smaller_share_near_the_reference(cell: int) -> None:
    """Of few cells, a single one holds nearly all; of many, it is a small detail."""
    shares = [dial(80, cell, side).share for side in (16, 32, 64)]
    assert shares[0] > shares[1] > shares[2]
    assert dial(80, cell, 64) == dial(80, cell, 640)


def test_along_the_path_the_reference_is_held_ever_more() -> None:
    path = [at_position(k / 50) for k in range(int(50 * LAST) + 1)]
    for before, after in itertools.pairwise(path):
        assert before != after
        assert after.share <= before.share
        assert after.end >= before.end
        assert after.weight >= before.weight
    assert path[0].weight == 0
    assert (path[-1].factor(4096), path[-1].end, path[-1].weight) == (1, 1, 1)


@pytest.mark.parametrize("cell", CELLS)
def test_n_of_a_similarity_is_a_share_of_the_side(cell: int) -> None:
    chosen = dial(30, cell)
    assert chosen.factor(512) == pytest.approx(8 * chosen.factor(64))
    assert chosen.factor(1) == 1


@pytest.mark.parametrize(
    ("cell", "known"), [(1, 1), (2, 1), (4, 8), (8, 8), (12, 16), (16, 16), (42, 32), (900, 32)]
)
def test_another_cell_is_taken_for_the_nearest(cell: int, known: int) -> None:
    assert nearest_cell(cell) == known
    assert dial(40, cell) == dial(40, known)


@pytest.mark.parametrize("similarity", [-1, 100.5, float("nan"), float("inf")])
def test_what_is_no_similarity_is_refused(similarity: float) -> None:
    with pytest.raises(InputError, match="use a number from 0 to 100"):
        dial(similarity)


@pytest.mark.parametrize(("cell", "side"), [(0, 64), (8, 0)])
def test_a_cell_or_a_side_without_a_pixel_is_refused(cell: int, side: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        dial(50, cell, side)


def test_zero_is_the_plain_run_bit_for_bit_and_a_hundred_the_reference(
    model: MixtureDenoiser, run: Callable[..., Tensor], y_0: Tensor
) -> None:
    assert torch.equal(run(y_0, similarity=0), run(None))
    held = run(y_0, similarity=100, sampler="ddim", eta=0.0)
    assert torch.allclose(held, y_0.expand_as(held), atol=1e-5)


def test_a_similarity_is_its_n_range_and_weight(run: Callable[..., Tensor], y_0: Tensor) -> None:
    chosen = dial(60, side=16)
    by_hand = Reference(
        y_0,
        chosen.factor(16),
        window=chosen.reference(y_0).window,
        weight=chosen.weight,
    )
    assert chosen.reference(y_0).window.end == chosen.end
    assert torch.equal(run(y_0, similarity=60), run(by_hand))


def test_pictures_come_nearer_as_the_dial_is_turned(
    run: Callable[..., Tensor], y_0: Tensor
) -> None:
    away = [(run(y_0, similarity=s) - y_0).square().mean().item() for s in range(0, 101, 20)]
    assert away[0] > away[-1]
    assert all(after < before + 0.02 for before, after in itertools.pairwise(away))


def test_a_picture_and_its_similarity_belong_together(model: MixtureDenoiser, y_0: Tensor) -> None:
    with pytest.raises(InputError, match="similarity="):
        sample(model, y_0)
    with pytest.raises(InputError, match="similarity="):
        sample(model, Reference(y_0, 4), similarity=50)
    with pytest.raises(InputError, match="leave compat= or similarity= out"):
        sample(model, y_0, similarity=50, compat="ilvr_adm")


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.fixture
def similar(
    ilvr: Command, tiny_checkpoint: Callable[..., Path], references: Path, output: Path
) -> Command:
    """``ilvr sample`` without N."""

    def run(*options: object) -> Outcome:
        return ilvr(
            "sample",
            *("--model", tiny_checkpoint(), "--reference", references / "b.png"),
            *("--steps", 4, "--output", output, "--device", "cpu"),
            *options,
        )

    return run


def test_the_command_makes_what_its_settings_make(
    similar: Command, output: Path, tmp_path: Path
) -> None:
    assert similar("--similarity", 60, "--output", tmp_path / "dial").err == ""
    (made,) = (tmp_path / "dial").glob("b_*.png")
    side = pixels(made).shape[0]
    chosen: Dial = dial(60, side=side)
    factor = chosen.factor(side)
    by_hand = ("--factor", factor, "--end", chosen.end, "--weight", chosen.weight)
    assert similar(*by_hand).err == ""
    (wanted,) = output.glob("b_N*_seed0.png")
    assert made.name == "b_similarity60_seed0.png"
    assert np.array_equal(pixels(made), pixels(wanted))
    with Image.open(made) as picture:
        assert '"similarity": 60' in str(picture.info)


@pytest.mark.usefixtures("no_sampling")
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--factor", 4),
        ("--start", 0.1),
        ("--end", 0.5),
        ("--weight", 0.5),
        ("--weight", "0:1,1:0"),
        ("--recipe", "translate"),
        ("--method", "sdedit"),
        ("--band", "fine"),
    ],
)
def test_what_a_similarity_chooses_is_refused_beside_it(
    similar: Command, output: Path, option: str, value: object
) -> None:
    similar("--similarity", 60, option, value).is_refusal_of("--similarity", option)
    assert not output.exists()


@pytest.mark.usefixtures("no_sampling")
@pytest.mark.parametrize("value", [-5, 101, "nan"])
def test_a_similarity_out_of_range_is_named(similar: Command, output: Path, value: object) -> None:
    similar("--similarity", value).is_refusal_of("similarity", "0 to 100")
    assert not output.exists()


def test_a_grid_over_similarity(
    ilvr: Command,
    tiny_checkpoint: Callable[..., Path],
    references: Path,
    similar: Command,
    output: Path,
    tmp_path: Path,
) -> None:
    def grid(*options: object) -> Outcome:
        return ilvr(
            "grid",
            *("--model", tiny_checkpoint(), "--reference", references / "b.png", "--steps", 4),
            *("--output", tmp_path / "grid.png", "--cells", tmp_path / "cells", *options),
        )

    assert grid("--columns", "similarity=20,80").err == ""
    for column, value in enumerate((20, 80), 1):
        assert similar("--similarity", value, "--output", output / str(value)).err == ""
        (made,) = (output / str(value)).glob("b_*.png")
        cell = pixels(tmp_path / "cells" / f"row1_column{column}.png")
        assert np.abs(cell - pixels(made)).max() <= 1
    both = ("--rows", "factor=2,4", "--columns", "similarity=20,80")
    grid(*both).is_refusal_of("--similarity", "--factor")
