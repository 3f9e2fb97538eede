"""Recipes: the table, what a recipe makes of an image, and ``ilvr sample --recipe``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from ilvr_latent import (
    RECIPES,
    InputError,
    Reference,
    Window,
    apply_recipe,
    sample,
    vary_factor,
    vary_range,
)
from ilvr_latent.diffusion.schedule import Schedule
from ilvr_latent.methods import Method
from ilvr_latent.recipes import Recipe

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser
    from tests.unit.conftest import Outcome

DOCS = Path(__file__).parents[2] / "docs"
ONE_FACTOR = [
    r
    for r in RECIPES.values()
    if len(r.factors_at_256) == 1 and not (r.masked or r.classifier_scale) and r.method == Method()
]


def test_the_paper_s_numbers_at_its_size_and_at_others() -> None:
    assert RECIPES["translate"].factors(256) == (32,)
    assert RECIPES["paint-to-image"].factors(256) == (64,)
    assert RECIPES["edit-scribble"].factors(256) == (8,)
    assert RECIPES["translate"].factors(64) == (8,)
    assert RECIPES["paint-to-image"].factors(100) == (25,)
    assert RECIPES["edit-scribble"].factors(16) == (1,)
    assert RECIPES["vary-factor"].factors(64) == (1, 2, 4, 8, 16)
    assert RECIPES["vary-factor"].factors(16) == (1, 2, 4)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_range_holds_the_timesteps_that_it_says(recipe: Recipe) -> None:
    hi, lo = recipe.timesteps
    steps = Schedule("linear", 1000, "1000").steps
    assert {s.t for s in steps if recipe.window.contains(s)} == {*range(lo, min(hi, 999) + 1)}
    longer = Schedule("linear", 4000, "40").steps
    inside = [s.t for s in longer if recipe.window.contains(s)]
    assert min(inside) >= 4 * lo - 1
    assert max(inside) == 3999


@pytest.mark.parametrize("recipe", ONE_FACTOR, ids=lambda recipe: recipe.name)
def test_a_recipe_is_sample_with_its_settings(
    recipe: Recipe, model: MixtureDenoiser, y_0: Tensor
) -> None:
    made = apply_recipe(recipe.name, model, y_0, seeds=(3, 4), steps=8)
    n = max(1.0, 16 * recipe.factors_at_256[0] / 256)
    window = Window.timesteps(*recipe.timesteps)
    wanted = sample(
        model, Reference(y_0, n, window=window), shape=(2, 3, 16, 16), steps=8, seed=[3, 4]
    )
    assert torch.equal(made, wanted)


def test_a_picture_of_each_image_for_each_seed(
    model: MixtureDenoiser, some_pictures: Callable[..., Tensor]
) -> None:
    images = some_pictures(2, seed=5)
    made = apply_recipe("edit-scribble", model, images, seeds=(3, 4, 5), steps=6)
    assert made.shape == (6, 3, 16, 16)
    alone = apply_recipe("edit-scribble", model, images[1:], seeds=(4,), steps=6)
    torch.testing.assert_close(made[4:5], alone)


def test_overrides_take_the_place_of_the_recipe_s(model: MixtureDenoiser, y_0: Tensor) -> None:
    window = Window(0, 0.5)
    made = apply_recipe("translate", model, y_0, factor=8, window=window, steps=8, space="state")
    wanted = sample(model, Reference(y_0, 8, window=window), steps=8, seed=[0])
    assert torch.equal(made, wanted)


def test_several_factors_and_several_ranges(model: MixtureDenoiser, y_0: Tensor) -> None:
    by_factor = vary_factor(model, y_0, steps=6)
    assert list(by_factor) == [1, 2, 4]
    torch.testing.assert_close(by_factor[1], y_0)
    assert not torch.equal(by_factor[2], by_factor[4])
    by_range = vary_range(model, y_0, factor=2, steps=6, ranges=((1000, 0), (1000, 500)))
    assert list(by_range) == [(1000, 0), (1000, 500)]
    assert torch.equal(by_range[1000, 0], by_factor[2])
    assert not torch.equal(by_range[1000, 500], by_factor[2])


def test_inpainting_keeps_what_the_mask_says(model: MixtureDenoiser, y_0: Tensor) -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8] = 1
    made = apply_recipe("inpaint", model, y_0, seeds=(0, 1), mask=mask, steps=8)
    kept, free = made[..., :8], made[..., 8:]
    torch.testing.assert_close(kept, y_0[..., :8].expand(2, -1, -1, -1))
    assert (free[0] - free[1]).abs().max() > 0.1
    with pytest.raises(InputError, match="needs a mask"):
        apply_recipe("inpaint", model, y_0, steps=8)


def test_wrong_names_and_missing_values_are_refused(model: MixtureDenoiser, y_0: Tensor) -> None:
    with pytest.raises(InputError, match="'cook'; use one of translate, "):
        apply_recipe("cook", model, y_0)
    with pytest.raises(InputError, match=r"several N \(1, 2, 4\)"):
        apply_recipe("vary-factor", model, y_0)
    with pytest.raises(InputError, match="no seed"):
        apply_recipe("translate", model, y_0, seeds=())
    assert not model.seen


def test_the_command_takes_factor_and_range_from_the_recipe(
    ilvr: Callable[..., Outcome],
    tiny_checkpoint: Callable[..., Path],
    references: Path,
    output: Path,
) -> None:
    def made(*options: object) -> dict[str, Any]:
        outcome = ilvr(
            *("sample", "--model", tiny_checkpoint(), "--reference", references / "a.png"),
            *("--steps", 4, "--output", output, "--device", "cpu", "--json", *options),
        )
        assert outcome.status == 0, outcome
        settings: dict[str, Any] = json.loads(outcome.out)["settings"]
        return settings

    plain = made("--recipe", "translate")
    assert plain["factor"] == [2.0]
    assert plain["recipe"] == "translate"
    assert plain["window"] == {"start": 0.0, "end": 0.8, "unit": "fraction"}
    with Image.open(output / "a_N2_seed0.png") as picture:
        assert json.loads(picture.info["ilvr"])["recipe"] == "translate"
    several = made("--recipe", "vary-factor")
    assert several["factor"] == [1.0, 2.0, 4.0]
    assert several["window"]["end"] == 1.0
    changed = made("--recipe", "edit-scribble", "--factor", 3, "--start", 0.1)
    assert changed["factor"] == [3.0]
    assert changed["window"] == {"start": 0.1, "end": 1.0, "unit": "fraction"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--recipe", "cook"], ["--recipe", "'cook'", "translate", "paint-to-image"]),
        ([], ["--factor", "--recipe"]),
        (["--recipe", "inpaint"], ["'inpaint'", "--mask"]),
        (["--recipe", "translate", "--weight", "2"], ["2"]),
    ],
)
def test_the_command_refuses_in_one_sentence(
    options: list[str],
    named: list[str],
    ilvr: Callable[..., Outcome],
    references: Path,
    output: Path,
    no_sampling: None,
) -> None:
    outcome = ilvr("sample", "--reference", references, "--output", output, *options)
    outcome.is_refusal_of(*named)
    assert not output.exists()


def test_the_help_lists_every_recipe(ilvr: Callable[..., Outcome]) -> None:
    text = " ".join(ilvr("sample", "--help").out.replace("-\n", "-").split())
    text = re.sub(r"- (?=\w)", "-", text)
    for recipe in RECIPES.values():
        assert f"{recipe.name}: {recipe.purpose}" in text


def test_the_documented_table_is_the_code_s() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (DOCS / "recipes.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    wanted = [
        [
            f"`{recipe.name}`",
            recipe.purpose,
            recipe.reference,
            ", ".join(map(str, recipe.factors_at_256)),
            ", ".join(f"{n:g}" for n in recipe.factors(64)),
            ", ".join(f"{n:g}" for n in recipe.factors(16)),
            "{} to {}".format(*recipe.timesteps),
        ]
        for recipe in RECIPES.values()
    ]
    assert rows == wanted
