"""``ilvr evaluate --pipeline`` with a tiny pipeline on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ilvr_latent.cli import main
from ilvr_latent.metrics.perceptual import low_pass_residual
from ilvr_latent.pictures.images import read_image, to_tensor
from tests.pipelines.support.tiny import saved_sd

Evaluate = Callable[..., int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_sd(tmp_path_factory.mktemp("pipelines"))


@pytest.fixture
def evaluate(folder: Path, tmp_path: Path) -> Evaluate:
    """``ilvr evaluate --pipeline`` that works; options that are given again count."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name, picture in (("a", Image.radial_gradient("L")), ("b", Image.linear_gradient("L"))):
        picture.resize((32, 32)).convert("RGB").save(pictures / f"{name}.png")

    def run(*options: object) -> int:
        arguments = [
            *("evaluate", "--pipeline", folder, "--prompt", "a cat", "--device", "cpu"),
            *("--references", pictures / "a.png", "--domain", pictures, "--steps", 3),
            *("--samples", 2, "--factors", 2, "--ranges", "1000-500", "--range-factor", 4),
            *("--output", tmp_path / "out"),
            *options,
        ]
        return main([str(argument) for argument in arguments])

    return run


def test_rows_of_a_pipeline(evaluate: Evaluate, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert evaluate() == 0
    record = json.loads((out / "evaluation.json").read_text())
    cell = record["pixels_of_a_cell"]
    assert cell > 1
    assert f"N counts latent cells of {cell} pixels" in (out / "evaluation.md").read_text()
    assert record["settings"]["prompt"] == "a cat"
    y_0 = to_tensor(read_image(tmp_path / "pictures" / "a.png"))
    found = [
        low_pass_residual(to_tensor(read_image(path)), y_0, 2 * cell).item()
        for path in sorted((out / "pictures" / "N2_t1000-0").iterdir())
    ]
    assert record["by_factor"][0]["residual"] == pytest.approx(sum(found) / 2, rel=1e-5)
    made = {path: path.stat().st_mtime_ns for path in out.rglob("pictures/**/*.png")}
    assert len(made) == 3 * 2
    assert evaluate() == 0
    assert {path: path.stat().st_mtime_ns for path in made} == made


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--prompt", "a dog"), "(prompt)"),
        (("--scheduler", "DDPM"), "(scheduler)"),
    ],
)
def test_another_prompt_needs_another_folder(
    options: tuple[str, ...],
    words: str,
    evaluate: Evaluate,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate("--ranges") == 0
    assert evaluate("--ranges", *options) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--ranges", "300-200"), "holds none of the 3 steps"),
        (("--steps", "ddim3"), "use a whole number"),
        (("--model", "embedded"), "--model is for guided-diffusion"),
        (("--pipeline", "nowhere"), "There is no pipeline"),
    ],
)
def test_what_it_refuses(
    options: tuple[str, ...],
    words: str,
    evaluate: Evaluate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(*options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_pipeline_needs_its_domain(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--pipeline", str(folder), "--output", str(tmp_path / "out")]) == 2
    assert "--domain" in capsys.readouterr().err
