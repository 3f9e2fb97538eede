"""``ilvr match``: a finished picture in the colours of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ilvr_latent import match_picture
from ilvr_latent.pictures.images import fit_to, read_image, to_images, to_tensor

if TYPE_CHECKING:
    from tests.unit.conftest import Command


def test_it_writes_the_picture_in_the_references_colours(
    ilvr: Command, references: Path, output: Path
) -> None:
    picture, reference = references / "a.png", references / "b.png"
    path, mask = output / "new" / "matched.png", references / "mask.png"
    given = ["match", picture, "--reference", reference, "--output", path]
    given += ["--factor", 5, "--factor-unit", "pixels", "--weight", 0.75, "--kernel", "box"]
    half = np.zeros((30, 40), np.uint8)
    half[:, :20] = 255
    Image.fromarray(half).save(mask)
    outcome = ilvr(*given, "--mask", mask, "--beyond-mask", "spread")
    assert (outcome.status, outcome.out) == (0, f"{path}\n")
    x = read_image(picture)
    fitted = to_tensor(fit_to(read_image(reference), x.size))
    area = (to_tensor(fit_to(read_image(mask), x.size))[:, :1] + 1) / 2
    wanted = match_picture(to_tensor(x), fitted, 5, "box", weight=0.75, mask=area, beyond="spread")
    with Image.open(path) as made:
        made.load()
        np.testing.assert_array_equal(np.asarray(made), np.asarray(to_images(wanted)[0]))
        written = json.loads(made.info["ilvr"])
    assert written["reference"] == "b.png"
    assert (written["factor"], written["factor_unit"]) == (5, "pixels")


def test_by_default_a_quarter_of_the_side_is_held(
    ilvr: Command, references: Path, output: Path
) -> None:
    path = output / "matched.png"
    ilvr("match", references / "a.png", "--reference", references / "b.png", "--output", path)
    x = read_image(references / "a.png")
    y = to_tensor(fit_to(read_image(references / "b.png"), x.size))
    wanted = match_picture(to_tensor(x), y, 0.25, factor_unit="share")
    np.testing.assert_array_equal(np.asarray(read_image(path)), np.asarray(to_images(wanted)[0]))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (["--factor", "1.5"], "1.5 of the side"),
        (["--factor", "0.5", "--factor-unit", "pixels"], "factor N is 0.5"),
        (["--weight", "2"], "weight is 2"),
        (["--reference", "none.png"], "none.png"),
        (["--mask", "none.png"], "none.png"),
        (["--output", "x.jpg"], "x.jpg"),
    ],
    ids=str,
)
def test_what_it_cannot_use_is_named(
    changed: list[str], named: str, ilvr: Command, references: Path, output: Path
) -> None:
    given = [references / "a.png", "--reference", references / "b.png"]
    ilvr("match", *given, "--output", output / "x.png", *changed).is_refusal_of(named)
    assert not list(output.rglob("*"))


def test_samples_are_matched_when_they_are_finished(
    sampling: Command, references: Path, output: Path
) -> None:
    name = "b_N4_seed1.png"
    assert sampling("--output", output / "free").status == 0
    outcome = sampling("--output", output / "held", "--match-picture", 0.5)
    assert outcome.status == 0
    free, held = (read_image(output / folder / name) for folder in ("free", "held"))
    reference = to_tensor(fit_to(read_image(references / "b.png"), free.size))
    wanted = match_picture(to_tensor(free), reference, 0.5, factor_unit="share")
    np.testing.assert_array_equal(np.asarray(held), np.asarray(to_images(wanted)[0]))
    with Image.open(output / "held" / name) as made:
        assert json.loads(made.info["ilvr"])["match_picture"] == 0.5


@pytest.mark.usefixtures("no_sampling")
def test_a_share_that_is_none_is_refused_before_sampling(sampling: Command) -> None:
    sampling("--match-picture", 8).is_refusal_of("8 of the side")
