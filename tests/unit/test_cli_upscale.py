"""``ilvr upscale``: pictures drawn again, larger."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from ilvr_latent import load_adm, upscale
from ilvr_latent.pictures.images import fit_to, read_image, to_images, to_tensor

if TYPE_CHECKING:
    from tests.unit.conftest import Command, Outcome

Checkpoint = Callable[..., Path]


@pytest.fixture
def upscaling(
    ilvr: Command, tiny_checkpoint: Checkpoint, references: Path, output: Path
) -> Callable[..., Outcome]:
    """A command that works; options that are given again count."""

    def run(*options: object) -> Outcome:
        given = ["upscale", references, "--model", tiny_checkpoint(), "--steps", 4]
        return ilvr(*given, "--device", "cpu", "--output", output, *options)

    return run


def pixels(path: Path) -> np.ndarray:
    return np.asarray(read_image(path))


def test_it_writes_what_the_library_makes(
    upscaling: Callable[..., Outcome], tiny_checkpoint: Checkpoint, references: Path, output: Path
) -> None:
    outcome = upscaling("--seed", 5, "--json")
    assert outcome.status == 0, outcome
    said = json.loads(outcome.out)
    assert [Path(file).name for file in said["files"]] == ["a-x2.png", "b-x2.png", "c-x2.png"]
    assert said["windows"] == 9
    model = load_adm(tiny_checkpoint())
    side = model.config.image_size
    small = to_tensor(fit_to(read_image(references / "b.png"), (side, side)))
    with torch.no_grad():
        wanted = to_images(upscale(model, small, 2, steps=4, seed=6))[0]
    np.testing.assert_array_equal(pixels(output / "b-x2.png"), np.asarray(wanted))
    with Image.open(output / "b-x2.png") as made:
        made.load()
        written = json.loads(made.info["ilvr"])
    assert (written["scale"], written["weight"], written["seed"]) == (2.0, "0:1, 1:0.5", 6)


def test_options_change_the_picture(upscaling: Callable[..., Outcome], output: Path) -> None:
    made = []
    for options in (
        (),
        ("--weight", 0),
        ("--factor", 4),
        ("--denoise", 0.25),
        ("--overlap", 0),
        ("--end", 0.5),
    ):
        assert upscaling(*options).status == 0
        made.append(pixels(output / "a-x2.png").tobytes())
    assert len(set(made)) == len(made)


def test_the_scale_counts_from_the_models_own_size(
    upscaling: Callable[..., Outcome], tiny_checkpoint: Checkpoint, output: Path
) -> None:
    side = load_adm(tiny_checkpoint()).config.image_size
    for scale in (1.5, 1.2):
        assert upscaling("--scale", scale).status == 0
        large = round(side * scale)
        assert read_image(output / f"a-x{scale}.png").size == (large, large)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--scale", "0.5"], "The scale is 0.5"),
        (["--factor", "0"], "The factor is 0"),
        (["--weight", "2"], "weight is 2"),
        (["--weight", "0:1,x"], "'x'"),
        (["--denoise", "0"], "denoise is 0"),
        (["--overlap", "1"], "overlap is 1"),
        (["--end", "0"], "window"),
        (["--steps", "0"], "--steps is 0"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--class-label", "3"], "unconditional"),
        (["--device", "abacus"], "abacus"),
    ],
)
@pytest.mark.usefixtures("no_sampling")
def test_what_cannot_be_used_is_refused_before_the_network_is_called(
    upscaling: Callable[..., Outcome], options: list[str], named: str
) -> None:
    upscaling(*options).is_refusal_of(named)
