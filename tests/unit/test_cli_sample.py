"""``ilvr sample``: the pictures, their names and what is written into them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from ilvr_latent import LowPass, Reference, load_adm, sample
from ilvr_latent.cli import options as table
from ilvr_latent.cli.settings import Settings
from ilvr_latent.pictures.images import fit_to, read_image, to_images, to_tensor

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]


def pixels(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int16)


def text_of(path: Path) -> dict[str, Any]:
    with Image.open(path) as picture:
        picture.load()
        record: dict[str, Any] = json.loads(picture.info["ilvr"])
    return record


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_picture_for_each_reference_factor_and_seed_and_a_sheet(
    sampling: Command, output: Path
) -> None:
    outcome = sampling("--factor", 4, 2.5, "--seed", 7)
    assert outcome.status == 0
    assert outcome.err == ""
    assert outcome.out.count("\n") == 1
    made = [f"{r}_N{n}_seed{s}.png" for r in "abc" for n in ("2.5", "4") for s in (7, 8)]
    assert names(output) == sorted([*made, "sheet.png"])
    for name in made:
        assert pixels(output / name).shape == (16, 16, 3)
    with Image.open(output / "sheet.png") as sheet:
        assert sheet.width > 7 * 128  # the reference, then for each factor its low-pass and two
        assert sheet.height > 3 * 128


@pytest.mark.parametrize(
    ("arguments", "steps", "chosen"),
    [
        ("", 50, ("ddpm", 1.0, "fresh")),
        ("", 49, ("unipc_damped", 0.0, "hybrid")),
        ("", 10, ("unipc_damped", 0.0, "hybrid")),
        ("--eta 0.5", 10, ("ddim", 0.5, "hybrid")),
        ("--reference-noise fixed", 20, ("unipc_damped", 0.0, "fixed")),
        ("--variance fixed_large", 20, ("ddpm", 1.0, "fresh")),
        ("--eta 0.5", 50, ("ddim", 0.5, "hybrid")),
        ("--sampler ddpm", 20, ("ddpm", 1.0, "fresh")),
        ("--sampler ddim", 20, ("ddim", 1.0, "fresh")),
    ],
)
def test_few_steps_take_the_sampler_that_is_good_at_them(
    arguments: str, steps: int, chosen: tuple[str, float, str]
) -> None:
    parser = argparse.ArgumentParser()
    table.add_arguments(parser)
    options = parser.parse_args(arguments.split())
    assert Settings.of(options, 4).reverse(steps) == chosen


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ("--steps 20", "early20"),
        ("--steps 49", "early49"),
        ("--steps 50", "50"),
        ("--steps 20 --reference-noise fixed", "early20"),
        ("--steps 20 --strength 1", "early20"),
        ("--steps 20 --strength 0.5", "20"),
        ("--steps 20 --method sdedit", "20"),
        ("--steps 20 --sampler unipc_damped", "20"),
        ("--steps 20 --eta 0", "20"),
        ("--steps 20 --variance fixed_large", "20"),
        ("--steps 5,5,10", "5,5,10"),
        ("--steps ddim20", "ddim20"),
        ("--steps early30 --sampler ddpm", "early30"),
    ],
)
def test_few_steps_are_early_where_nothing_else_is_said(arguments: str, steps: str) -> None:
    parser = argparse.ArgumentParser()
    table.add_arguments(parser)
    settings = Settings.of(parser.parse_args(arguments.split()), 4)
    assert settings.spaced_steps(1000) == steps
    assert settings.spaced_steps(10) == settings.steps


def test_a_weight_that_changes_is_sampled_with_and_written_down(
    sampling: Command, output: Path
) -> None:
    made = {}
    for weight in ("0:1,1:0", "0:1,0.5:1,0.5:0,1:0", "1"):
        assert sampling("--weight", weight).status == 0
        made[weight] = pixels(output / "a_N4_seed0.png").tobytes()
        if ":" in weight:
            assert text_of(output / "a_N4_seed0.png")["weight"] == weight.replace(",", ", ")
    assert len(set(made.values())) == 3


def test_the_settings_are_written_into_each_picture(sampling: Command, output: Path) -> None:
    sampling("--seed", 7, "--weight", 0.5, "--end", 0.9, "--space", "prediction")
    settings = text_of(output / "b_N4_seed8.png")
    wanted = {
        "reference": "b.png",
        "factor": 4.0,
        "seed": 8,
        "weight": 0.5,
        "window": {"start": 0.0, "end": 0.9, "unit": "fraction"},
        "steps": "4",
        "space": "prediction",
        "kernel": "cubic",
    }
    assert settings | wanted == settings
    assert "ilvr" in settings


def test_one_json_object_and_nothing_else(sampling: Command, output: Path) -> None:
    outcome = sampling("--json")
    record = json.loads(outcome.out)
    assert sorted(record) == ["files", "settings", "sheets"]
    assert sorted(Path(name).name for name in record["files"] + record["sheets"]) == names(output)
    assert all(Path(name).is_file() for name in record["files"])
    assert record["settings"]["factor"] == [4.0]
    assert outcome.err == ""


def test_two_runs_write_the_same_bytes(sampling: Command, output: Path, tmp_path: Path) -> None:
    sampling()
    sampling("--output", tmp_path / "again")
    assert names(tmp_path / "again") == names(output)
    for path in output.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_the_batch_size_does_not_change_a_picture(
    sampling: Command, output: Path, tmp_path: Path
) -> None:
    sampling("--batch-size", 1)
    sampling("--batch-size", 4, "--output", tmp_path / "four")
    assert names(tmp_path / "four") == names(output)
    for path in output.glob("*_seed*.png"):
        # Batches of another size sum in another order: the last bit may round otherwise.
        assert np.abs(pixels(path) - pixels(tmp_path / "four" / path.name)).max() <= 1


def test_more_samples_add_pictures_and_keep_the_others(
    sampling: Command, output: Path, tmp_path: Path
) -> None:
    sampling("--samples", 1)
    sampling("--samples", 3, "--output", tmp_path / "more")
    for path in output.glob("*_seed0.png"):
        assert np.abs(pixels(path) - pixels(tmp_path / "more" / path.name)).max() <= 1
    assert len(names(tmp_path / "more")) == 10


def test_the_picture_is_that_of_the_library(
    sampling: Command, output: Path, references: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    sampling("--samples", 1, "--seed", 3, "--kernel", "box", "--sampler", "ddim", "--eta", 0.5)
    model = load_adm(tiny_checkpoint())
    y_0 = to_tensor(fit_to(read_image(references / "b.png"), (16, 16), "crop"))
    reference = Reference(y_0, 4, kernel="box")
    x = sample(model, reference, steps=4, sampler="ddim", eta=0.5, seed=[3])
    wanted = np.asarray(to_images(x)[0]).astype(np.int16)
    assert np.abs(pixels(output / "b_N4_seed3.png") - wanted).max() <= 1


def test_pictures_keep_the_references_low_frequencies(
    sampling: Command, output: Path, references: Path
) -> None:
    sampling("--kernel", "box", "--fit", "stretch")
    for name in "abc":
        y_0 = to_tensor(fit_to(read_image(references / f"{name}.png"), (16, 16), "stretch"))
        x = to_tensor(read_image(output / f"{name}_N4_seed0.png"))
        phi = LowPass(4, "box")
        # Bytes are rounded and clamped after the match.
        assert float((phi(x) - phi(y_0)).abs().mean()) < 0.1
        assert float((x - y_0).abs().mean()) > 0.2


def test_references_of_the_same_name_do_not_overwrite_each_other(
    sampling: Command, output: Path, references: Path
) -> None:
    for folder, name in (("x", "a.png"), ("y", "b.png")):
        (references / folder).mkdir()
        (references / name).rename(references / folder / "d.png")
    sampling("--reference", references / "x", references / "y", "--samples", 1)
    assert names(output) == ["d-2_N4_seed0.png", "d_N4_seed0.png", "sheet.png"]
    assert (pixels(output / "d_N4_seed0.png") != pixels(output / "d-2_N4_seed0.png")).any()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["--step-range", "0", "1"], ["--timestep-range", "1000", "500"]),
        (["--start", "0", "--end", "0.5"], ["--step-range", "0", "1"]),
        (["--weight", "0"], ["--weight", "0", "--factor", "8"]),
        (["--steps", "4"], ["--steps", " 4 "]),
    ],
    ids=str,
)
def test_options_that_say_the_same_make_the_same_pictures(
    one: list[str], other: list[str], sampling: Command, references: Path, tmp_path: Path
) -> None:
    made = []
    for k, options in enumerate((one, other)):
        folder = tmp_path / str(k)
        outcome = sampling(
            "--reference", references / "a.png", "--samples", 1, "--output", folder, *options
        )
        assert outcome.status == 0
        made.append([pixels(path) for path in folder.glob("a_*.png")])
    (first,), (second,) = made
    np.testing.assert_array_equal(first, second)


def test_a_class_conditional_network_takes_a_label(sampling: Command, output: Path) -> None:
    outcome = sampling("--class-label", 9, "--samples", 1, num_classes=10)
    assert outcome.status == 0
    assert text_of(output / "a_N4_seed0.png")["class_label"] == 9


@pytest.mark.parametrize(
    "sampler", [("pc", "--corrector-steps", 2, "--predictor", "ancestral"), ("ode",), ("cold",)]
)
def test_samplers_with_a_loop_of_their_own(
    sampling: Command, output: Path, sampler: tuple[object, ...]
) -> None:
    outcome = sampling("--sampler", *sampler)
    assert (outcome.status, outcome.err) == (0, "")
    assert text_of(output / "a_N4_seed0.png")["sampler"] == sampler[0]


@pytest.mark.parametrize(
    "options",
    [
        ("pc", "--eta", 0.5),
        ("unipc", "--eta", 0.5),
        ("dpmpp_2m", "--variance", "fixed_small"),
        ("ode", "--snr", 0.1),
        ("cold", "--variance", "fixed_large"),
        ("ddpm", "--snr", 0.1),
        ("pc", "--jump-length", 2),
        ("pc", "--snr", -1),
    ],
)
def test_options_of_another_sampler_are_refused(
    sampling: Command, options: tuple[object, ...]
) -> None:
    outcome = sampling("--sampler", *options)
    assert outcome.status == 2
    assert "snr" in outcome.err or "does not belong" in outcome.err


def test_the_fine_band_is_held_instead(sampling: Command, output: Path) -> None:
    settings = ("--factor", 4, "--kernel", "box", "--samples", 1)
    assert sampling(*settings, "--band", "fine").status == 0
    fine = {name: pixels(output / name) for name in names(output) if "seed" in name}
    assert text_of(output / next(iter(fine)))["band"] == "fine"
    assert sampling(*settings).status == 0
    assert any((pixels(output / name) != picture).any() for name, picture in fine.items())


def test_an_empty_fine_band_is_refused(sampling: Command, output: Path) -> None:
    outcome = sampling("--factor", 1, "--band", "fine")
    assert outcome.status == 2
    assert "fine band is empty" in outcome.err
