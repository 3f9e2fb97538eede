"""``--mask`` and the jumps of RePaint on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from ilvr_latent import Reference, Resampling, load_adm, sample
from ilvr_latent.pictures.images import fit_to, read_image, to_images, to_tensor

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
# As many as the tiny model can do with a whole jump.
JUMPS = ("--jump-length", 2, "--jump-n-sample", 3)


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """The left half of a picture, in grey, at another size than the model's."""
    path = tmp_path / "mask.png"
    picture = Image.new("L", (64, 64))
    picture.paste(255, (0, 0, 32, 64))
    picture.save(path)
    return path


@pytest.fixture
def square(tmp_path: Path) -> Path:
    path = tmp_path / "square.png"
    Image.radial_gradient("L").convert("RGB").resize((16, 16)).save(path)
    return path


def test_at_factor_1_the_white_half_is_the_reference(
    sampling: Command, output: Path, square: Path, mask: Path
) -> None:
    for jumps in ((), JUMPS):
        outcome = sampling("--reference", square, "--factor", 1, "--mask", mask, *jumps)
        assert (outcome.status, outcome.err) == (0, "")
        out, wanted = pixels(output / "square_N1_seed0.png"), pixels(square)
        assert np.abs(out - wanted)[:, :7].max() <= 1
        assert np.abs(out - wanted)[:, 9:].mean() > 10


def test_the_command_is_the_library(
    sampling: Command, output: Path, tiny_checkpoint: Callable[..., Path], square: Path, mask: Path
) -> None:
    sampling(
        *("--reference", square, "--mask", mask, *JUMPS),
        *("--samples", 1, "--sampler", "ddpm"),
    )
    part = (to_tensor(fit_to(read_image(mask), (16, 16)))[:, :1] + 1) / 2
    reference = Reference(to_tensor(read_image(square)), 4, mask=part)
    x = sample(
        load_adm(tiny_checkpoint()), reference, steps=4, seed=[0], resampling=Resampling(2, 3)
    )
    wanted = np.asarray(to_images(x)[0]).astype(int)
    assert np.abs(pixels(output / "square_N4_seed0.png") - wanted).max() <= 1


def test_a_picture_says_how_it_was_made(
    sampling: Command, output: Path, square: Path, mask: Path
) -> None:
    def written(*options: object) -> Any:
        assert sampling("--reference", square, *options).status == 0
        with Image.open(output / "square_N4_seed1.png") as picture:
            return json.loads(picture.info["ilvr"])

    record = written("--mask", mask, *JUMPS)
    assert record | {"mask": str(mask), "jump_length": 2, "jump_n_sample": 3} == record
    # What is not given is as in the paper.
    assert written("--jump-length", 2)["jump_n_sample"] == 10
    plain = written()
    assert plain["mask"] is None
    assert not {"jump_length", "jump_n_sample"} & set(plain)


def test_the_sheet_shows_only_what_is_matched(
    sampling: Command, output: Path, square: Path, mask: Path
) -> None:
    sampling("--reference", square)
    whole = pixels(output / "sheet.png")
    sampling("--reference", square, "--mask", mask)
    masked = pixels(output / "sheet.png")
    assert whole.shape == masked.shape
    # The second cell is the low-pass: grey on its right.
    assert (masked == 128).all(-1).sum() > 5000 > (whole == 128).all(-1).sum()


def test_a_grid_over_the_jumps(
    ilvr: Command, tiny_checkpoint: Any, square: Path, mask: Path, tmp_path: Path
) -> None:
    cells = tmp_path / "cells"
    outcome = ilvr(
        *("grid", "--model", tiny_checkpoint(), "--reference", square, "--steps", 4),
        *("--mask", mask, "--columns", "jump_n_sample=1,2", "--rows", "jump-length=1,2"),
        *("--output", tmp_path / "grid.png", "--cells", cells, "--device", "cpu"),
    )
    assert (outcome.status, outcome.err) == (0, "")
    made = [pixels(cells / f"row{r}_column{c}.png").tobytes() for r in (1, 2) for c in (1, 2)]
    assert made[0] == made[2]
    assert len(set(made)) == 3


@pytest.mark.usefixtures("no_sampling")
def test_a_black_mask_is_refused(sampling: Command, output: Path, tmp_path: Path) -> None:
    black = tmp_path / "black.png"
    Image.new("L", (8, 8)).save(black)
    sampling("--mask", black).is_refusal_of("mask is empty")
    assert list(output.iterdir()) == []
