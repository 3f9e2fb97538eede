"""``ilvr sample`` with methods beside ILVR: what they make, and what does not go together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from ilvr_latent import (
    EGSDE,
    SDDM,
    BandStatistics,
    Reference,
    SeededNoise,
    Start,
    Window,
    load_adm,
    sample_with,
)
from ilvr_latent.adm import adm_classifier, load_adm_classifier
from ilvr_latent.adm.classifier_network import ADMClassifier, ClassifierConfig
from ilvr_latent.cli.method_settings import class_number
from ilvr_latent.diffusion import Guides
from ilvr_latent.errors import InputError
from ilvr_latent.guides import ILVR, ClassifierGuidance, UniversalGuidance, losses
from ilvr_latent.pictures.images import fit_to, read_image, to_images, to_tensor

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
CLASSIFIER = ClassifierConfig(16, 32, 1, (1, 2), (2,), num_head_channels=32, num_classes=5)
FLAGS = ("--classifier-flag", "num_head_channels=32")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights."""
    path = tmp_path_factory.mktemp("classifier") / "classifier.safetensors"
    generator = torch.Generator().manual_seed(0)
    shapes = ADMClassifier(CLASSIFIER).state_dict()
    weights = {
        name: torch.randn(each.shape, generator=generator) / max(each[0].numel(), 1) ** 0.5
        for name, each in shapes.items()
    }
    save_file(weights, path)
    return path


@pytest.fixture
def sample(sampling: Command, references: Path) -> Command:
    """One picture of one reference, in four steps."""

    def run(*options: object) -> Outcome:
        given = ("--reference", references / "a.png", "--samples", 1, "--sampler", "ddpm")
        return sampling(*given, *options)

    return run


def made(output: Path, name: str) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    with Image.open(output / name) as picture:
        picture.load()
        pixels = np.asarray(picture.convert("RGB")).astype(np.int16)
        return pixels, json.loads(picture.info["ilvr"])


def guided(checkpoint: Path, reference: Path, guide: Any, start: int | None = None) -> Any:
    """What the library makes, as a picture."""
    y_0 = to_tensor(fit_to(read_image(reference), (16, 16), "crop"))
    x = sample_with(
        load_adm(checkpoint),
        guide(y_0),
        shape=(1, 3, 16, 16),
        steps=4,
        noise=SeededNoise([0]),
        start=None if start is None else Start(y_0, start),
    )
    return np.asarray(to_images(x)[0]).astype(np.int16)


CASES: dict[str, tuple[tuple[object, ...], str, Callable[..., Any], int | None]] = {
    "sdedit": (("--method", "sdedit", "--strength", 0.75), "sdedit", lambda y: None, 1),
    "egsde": (
        ("--method", "egsde", "--realism", 0, "--faithful", 0.5, "--factor", 4),
        "N4",
        lambda y: EGSDE(y, realism=0, faithful=0.5, factor=4),
        2,
    ),
    "sddm": (
        ("--method", "sddm", "--blocks", 4),
        "sddm",
        lambda y: SDDM(y, blocks=4, window=Window(0, 0.5)),
        None,
    ),
    "ddnm": (
        ("--method", "ddnm", "--factor", 4),
        "N4",
        lambda y: ILVR(Reference(y, 4, space="prediction")),
        None,
    ),
    "colours": (
        ("--loss", "colours", "--loss-weight", 3, "--recurrence", 2, "--factor", 4),
        "N4",
        lambda y: Guides(
            UniversalGuidance(losses.colour_histogram(y), weight=3, recurrence=2, clip=True),
            ILVR(Reference(y, 4)),
        ),
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_picture_is_that_of_the_library(
    ilvr: Command,
    tiny_checkpoint: Callable[..., Path],
    references: Path,
    output: Path,
    name: str,
) -> None:
    options, label, guide, start = CASES[name]
    outcome = ilvr(
        "sample",
        *("--model", tiny_checkpoint(), "--reference", references / "a.png", "--steps", 4),
        *("--sampler", "ddpm", "--output", output, "--device", "cpu"),
        *options,
    )
    assert (outcome.status, outcome.err) == (0, "")
    pixels, written = made(output, f"a_{label}_seed0.png")
    wanted = guided(tiny_checkpoint(), references / "a.png", guide, start)
    assert np.abs(pixels - wanted).max() <= 1
    given = dict(zip(options[::2], options[1::2], strict=True))
    for flag, value in given.items():
        assert written[str(flag)[2:].replace("-", "_")] == value
    assert written["factor"] == (4 if label == "N4" else None)


def test_a_style_is_taken_after_everything_else(
    sample: Command, output: Path, tiny_checkpoint: Callable[..., Path], references: Path
) -> None:
    other = references / "b.png"
    outcome = sample("--style", other, "--style-weight", 0.5, "--style-factor", 0.25)
    assert (outcome.status, outcome.err) == (0, "")
    pixels, written = made(output, "a_N4_seed0.png")
    b = to_tensor(fit_to(read_image(other), (16, 16), "crop"))
    style = BandStatistics(b, 0.25, weight=0.5)
    wanted = guided(
        tiny_checkpoint(), references / "a.png", lambda y: Guides(ILVR(Reference(y, 4)), style)
    )
    assert np.abs(pixels - wanted).max() <= 1
    assert (written["style"], written["style_weight"]) == (str(other), 0.5)


def test_a_class_leads_beside_ilvr(
    sample: Command,
    output: Path,
    classifier: Path,
    tiny_checkpoint: Callable[..., Path],
    references: Path,
) -> None:
    scale = ("--classifier-scale", 2)
    outcome = sample("--class", 3, "--classifier", classifier, *FLAGS, *scale)
    assert (outcome.status, outcome.err) == (0, "")
    pixels, written = made(output, "a_N4_seed0.png")
    network = load_adm_classifier(classifier, num_head_channels=32)
    wanted = guided(
        tiny_checkpoint(),
        references / "a.png",
        lambda y: Guides(ClassifierGuidance(network, 3, scale=2), ILVR(Reference(y, 4))),
    )
    assert np.abs(pixels - wanted).max() <= 1
    assert written["class"] == "3"
    assert written["classifier_scale"] == 2


def test_sddm_s_energy_is_that_of_the_classifier_without_its_head(
    ilvr: Command,
    tiny_checkpoint: Callable[..., Path],
    references: Path,
    output: Path,
    classifier: Path,
) -> None:
    pictures = []
    for weight in (0, 25):
        folder = output / str(weight)
        use = ("--classifier", classifier, *FLAGS) if weight else ()
        outcome = ilvr(
            "sample",
            *("--model", tiny_checkpoint(), "--reference", references / "a.png", "--steps", 4),
            *("--method", "sddm", "--blocks", 4, "--energy-weight", weight, *use),
            *("--sampler", "ddpm", "--output", folder, "--device", "cpu"),
        )
        assert (outcome.status, outcome.err) == (0, "")
        pictures.append(made(folder, "a_sddm_seed0.png")[0])
    assert (pictures[0] != pictures[1]).any()


def test_features_are_those_of_each_place() -> None:
    torch.manual_seed(0)
    network = adm_classifier(vars(CLASSIFIER), ADMClassifier(CLASSIFIER).state_dict())
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([5, 900])
    features = network.features(x, t)
    assert features.shape == (2, 64, 8, 8)
    assert torch.equal(network.out(features), network(x, t))
    with pytest.raises(InputError, match="3x16x16, not of 3x8x8"):
        network.features(torch.zeros(1, 3, 8, 8), t[:1])


@pytest.mark.usefixtures("no_sampling")
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--method", "egsde", "--realism", "0", "--blocks", "4"], "--blocks does not belong"),
        (["--method", "egsde", "--end", "0.5"], "--end does not belong to --method egsde"),
        (["--method", "egsde", "--weight", "0.5"], "--weight does not belong"),
        (["--method", "sddm"], "--factor does not belong to --method sddm"),
        (["--method", "sdedit"], "--factor does not belong to --method sdedit"),
        (["--faithful", "1"], "--faithful does not belong to --method ilvr"),
        (["--method", "egsde"], "--classifier FILE"),
        (["--method", "egsde", "--realism", "-1"], "realism is -1.0"),
        (["--method", "egsde", "--realism", "0", "--sampler", "pc"], "--sampler pc begins"),
        (["--strength", "0"], "The strength is 0"),
        (["--strength", "0.1"], "leaves none of 4 steps"),
        (["--class", "animals"], "--classifier FILE"),
        (["--class", "animals", "--classifier", "embedded"], "3x64x64, not of 3x16x16"),
        (["--classifier-scale", "2"], "does nothing without --class"),
        (["--classifier", "embedded"], "does nothing without --class"),
        (["--style-weight", "0.5"], "--style-weight does nothing without --style"),
        (["--style", "no.png"], "'no.png'"),
        (["--loss-weight", "2"], "--loss-weight does nothing without --loss"),
        (["--recurrence", "0"], "--recurrence does nothing without --loss"),
        (["--loss", "colours"], "--loss does nothing without a weight"),
        (["--loss", "colours", "--loss-weight", "2", "--recurrence", "0"], "recurrence 0"),
        (["--loss", "colours", "--backward-steps", "-1"], "backward_steps is -1"),
        (["--loss", "sharp"], "'sharp'"),
        (["--loss", "edges", "--loss-weight", "1", "--target", "no.png"], "'no.png'"),
        (
            ["--loss", "edges", "--loss-weight", "1", "--recurrence", "2", "--sampler", "pc"],
            "repeats",
        ),
        (["--method", "egsde", "--pipeline", "embedded"], "--method is for guided-diffusion"),
        (["--recipe", "guided-class"], "--class"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_said_before_any_work(
    sampling: Command, output: Path, options: list[str], named: str
) -> None:
    sampling(*options).is_refusal_of(named)
    assert not output.exists() or not list(output.iterdir())


@pytest.mark.usefixtures("no_sampling")
def test_blocks_that_do_not_divide_name_those_that_do(
    ilvr: Command, tiny_checkpoint: Callable[..., Path], references: Path, output: Path
) -> None:
    outcome = ilvr(
        "sample",
        *("--model", tiny_checkpoint(), "--reference", references, "--output", output),
        *("--method", "sddm", "--blocks", 5, "--steps", 4),
    )
    outcome.is_refusal_of("5x5", "1, 2, 4 or 8 blocks")


def test_a_class_by_number_or_by_the_beginning_of_its_name() -> None:
    assert class_number("2", 8, embedded=True) == 2
    assert class_number("animal", 8, embedded=True) == 2
    assert class_number("Food & Drink", 8, embedded=True) == 3
    assert class_number("smileys", 8, embedded=True) == 0
    for text, embedded in (("8", True), ("-1", True), ("b", False), ("&", True), ("", True)):
        with pytest.raises(InputError, match="--class is"):
            class_number(text, 8, embedded=embedded)
    with pytest.raises(InputError, match="Animals & Nature"):
        class_number("zebra", 8, embedded=True)


def test_recipes_bring_their_method_and_give_way_to_options(
    ilvr: Command, references: Path, output: Path
) -> None:
    seen: dict[str, Any] = {}
    for options in ((), ("--method", "sddm"), ("--strength", 0.1)):
        folder = output / "-".join(map(str, options))
        outcome = ilvr(
            "sample",
            *("--recipe", "domain-translate", "--reference", references / "a.png"),
            *("--steps", 10, "--output", folder, *options),
        )
        assert (outcome.status, outcome.err) == (0, "")
        (path,) = folder.glob("a_*.png")
        seen["-".join(map(str, options))] = made(folder, path.name)[1]
    assert seen[""]["method"] == seen["--strength-0.1"]["method"] == "egsde"
    assert seen[""]["factor"] == 8
    assert seen["--strength-0.1"]["strength"] == 0.1
    assert (seen["--method-sddm"]["method"], seen["--method-sddm"]["energy_weight"]) == ("sddm", 25)
