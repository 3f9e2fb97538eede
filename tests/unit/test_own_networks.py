"""Inception and LPIPS with files of the user's: what torchmetrics measures, and nothing fetched.

The weights are random: what counts is that they come to the right place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor, nn

from ilvr_latent import InputError
from ilvr_latent.metrics.distribution import distances
from ilvr_latent.metrics.inception import Inception
from ilvr_latent.metrics.lpips import LPIPS
from ilvr_latent.metrics.perceptual import diversity
from ilvr_latent.pictures.images import to_images, to_tensor
from tests.conftest import pictures

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection fails."""

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("socket.socket.connect", opened)
    monkeypatch.setattr("torch.hub.download_url_to_file", opened)


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    module = pytest.importorskip(
        "torch_fidelity.feature_extractor_inceptionv3", reason="torch-fidelity is not installed"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
        torch.manual_seed(0)
        network = module.FeatureExtractorInceptionV3("random", ["2048"])
    for weight in network.parameters():
        if weight.ndim == 4:
            # What torch begins with would leave nothing of a picture after so many layers.
            nn.init.kaiming_normal_(weight)
    path: Path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def alexnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where torchvision would have put what it downloads, below ``hub/checkpoints``."""
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    folder = tmp_path_factory.mktemp("torch") / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    path: Path = folder / "alexnet-owt-7be5be79.pth"
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), path)
    return path


def whole(x: Tensor) -> Tensor:
    """Pictures as they come from a file."""
    return torch.cat([to_tensor(picture) for picture in to_images(x)])


def pixels(x: Tensor) -> Tensor:
    """The same as torchmetrics takes them, (B, 3, H, W) from 0 to 255."""
    arrays = np.stack([np.asarray(picture) for picture in to_images(x)])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2)


def test_inception_measures_what_torchmetrics_measures(inception_file: Path) -> None:
    from torchmetrics.image.fid import NoTrainInceptionV3
    from torchmetrics.image.kid import KernelInceptionDistance

    x, domain = whole(pictures(4, seed=0, side=48)), whole(pictures(4, seed=1, side=48))
    network = Inception(inception_file)
    z, z_domain = network.features(x), network.features(domain)
    assert z.shape == (4, 2048)
    # torchmetrics alone, which reads the same file itself.
    direct = NoTrainInceptionV3("direct", ["2048"], str(inception_file))
    metric = KernelInceptionDistance(direct, subsets=1, subset_size=4)
    metric.update(pixels(domain), real=True)
    metric.update(pixels(x), real=False)
    torch.testing.assert_close(metric.fake_features[0], z, rtol=1e-4, atol=1e-4)
    assert (z[0] - z[1]).abs().max() > 0.1
    assert distances(z, z_domain).kid == pytest.approx(metric.compute()[0].item(), rel=1e-3)
    assert network.name.startswith("Inception (FID's own, weights inception.pth, sha256 ")


def test_lpips_measures_what_torchmetrics_measures(
    alexnet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    monkeypatch.setenv("TORCH_HOME", str(alexnet_file.parents[2]))
    direct = LearnedPerceptualImagePatchSimilarity(net_type="alex")
    network = LPIPS(alexnet_file)
    x, y = pictures(3, seed=0, side=72), pictures(3, seed=1, side=72)
    found = network.distance(x, y)
    assert found.shape == (3,)
    assert found.mean().item() == pytest.approx(direct(x, y).item(), rel=1e-5)
    assert found.min() > 0
    assert torch.equal(network.distance(x, x), torch.zeros(3))
    pairs = [direct(x[a : a + 1], x[b : b + 1]).item() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert diversity(network, x) == pytest.approx(sum(pairs) / 3, rel=1e-4)
    assert network.name.startswith("LPIPS on AlexNet (weights alexnet-owt-7be5be79.pth, sha256 ")


def test_small_pictures_are_enlarged_for_lpips(alexnet_file: Path) -> None:
    network = LPIPS(alexnet_file)
    x, y = pictures(2, seed=0), pictures(2, seed=1)
    assert (network.distance(x, y) > 0).all()


def test_vgg_is_known_by_its_shapes(tmp_path: Path) -> None:
    vgg = pytest.importorskip("torchvision.models.vgg", reason="torchvision is not installed")
    features = vgg.make_layers(vgg.cfgs["D"])
    path = tmp_path / "vgg16.pth"
    torch.save({f"features.{name}": x for name, x in features.state_dict().items()}, path)
    network = LPIPS(path)
    x = pictures(1, seed=0, side=64)
    maps = network._network.get_submodule("net")(x)
    torch.testing.assert_close(maps[-1], features[:30](x))
    assert "LPIPS on VGG16" in network.name


def test_making_a_network_leaves_other_random_numbers_alone(
    alexnet_file: Path, inception_file: Path
) -> None:
    before = torch.random.get_rng_state()
    LPIPS(alexnet_file)
    Inception(inception_file)
    assert torch.equal(torch.random.get_rng_state(), before)


def _saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save(tensors, path)
    return path


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": torch.zeros(3)},
        {"features.0.weight": torch.zeros(64, 3, 11, 11)},
        {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.3.squeeze": torch.zeros(1)},
    ],
    ids=["none", "incomplete", "squeezenet"],
)
def test_another_network_is_no_backbone(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    with pytest.raises(InputError, match="neither AlexNet nor VGG16"):
        LPIPS(_saved(tmp_path / "other.pth", tensors))


def test_another_network_is_no_inception(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    tensors = {"Conv2d_1a_3x3.conv.weight": torch.zeros(32, 3, 3, 3)}
    with pytest.raises(InputError, match="does not hold the Inception of FID"):
        Inception(_saved(tmp_path / "other.pth", tensors))


@pytest.mark.parametrize(
    ("kind", "package"), [(Inception, "torch-fidelity"), (LPIPS, "torchvision")]
)
def test_a_missing_package_is_named(
    kind: type, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = package.replace("-", "_")
    found = {"torchmetrics": True, missing: None}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found[name])
    with pytest.raises(InputError, match=f"needs the package {package}.*pip install"):
        kind(tmp_path / "none.pth")


@pytest.mark.parametrize(
    ("kind", "package"), [(Inception, "torch_fidelity"), (LPIPS, "torchvision")]
)
def test_a_file_that_wants_to_run_code_is_not_opened(
    kind: type, package: str, tmp_path: Path
) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    path = tmp_path / "bad.pth"
    torch.save({"a": nn.Linear(1, 1)}, path)
    with pytest.raises(InputError, match="wants to run code"):
        kind(path)
    with pytest.raises(InputError, match="There is no file"):
        kind(tmp_path / "none.pth")


def test_the_tables_name_them(
    ilvr: Command,
    tiny_checkpoint: Callable[..., Path],
    inception_file: Path,
    alexnet_file: Path,
    tmp_path: Path,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of 2048 numbers it takes half a minute a row.
    monkeypatch.setattr("ilvr_latent.metrics.distribution._fid", lambda *_: 0.0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    values = torch.rand(2, 3, 16, 16, generator=Generator().manual_seed(0))
    for k, picture in enumerate(to_images(2 * values - 1)):
        picture.save(folder / f"{k}.png")
    outcome = ilvr(
        *("evaluate", "--model", tiny_checkpoint(), "--references", folder / "0.png"),
        *("--domain", folder, "--output", output, "--device", "cpu", "--steps", 1),
        *("--samples", 2, "--factors", 4, "--ranges"),
        *("--inception", inception_file, "--lpips", alexnet_file),
    )
    assert (outcome.status, outcome.err) == (0, "")
    text = (output / "evaluation.md").read_text()
    names = json.loads((output / "evaluation.json").read_text())["networks"]
    assert names["fid_kid"].startswith("Inception (FID's own, weights inception.pth, sha256 ")
    assert names["perceptual"].startswith("LPIPS on AlexNet (weights alexnet-owt")
    assert text.count(names["fid_kid"]) == text.count(names["perceptual"]) == 2  # at every table
    with Image.open(output / "evaluation.png") as figure:
        assert figure.width == 480
