"""A classifier that sees patches of pixels as channels."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Generator

from ilvr_latent import InputError
from ilvr_latent.adm import ClassifierConfig, load_adm_classifier
from ilvr_latent.adm.classifier_network import ADMClassifier

CONFIG = ClassifierConfig(
    image_size=16, width=32, depth=1, channel_mult=(1, 2), attention_downsampling=(2,),
    num_head_channels=32, num_classes=3, patch=2,
)  # fmt: skip


def network(config: ClassifierConfig) -> ADMClassifier:
    torch.manual_seed(0)
    return ADMClassifier(config).eval()


def test_it_is_the_plain_one_on_patches(tmp_path: Path) -> None:
    plain = network(dataclasses.replace(CONFIG, image_size=8, in_channels=12, patch=1))
    path = tmp_path / "patched.safetensors"
    save_file(plain.state_dict(), path)
    patched = load_adm_classifier(path, num_head_channels=32, patch=2)
    assert patched.config == CONFIG
    x, t = torch.randn(2, 3, 16, 16, generator=Generator().manual_seed(0)), torch.tensor([3, 700])
    torch.testing.assert_close(patched(x, t), plain(F.pixel_unshuffle(x, 2), t))


@pytest.mark.parametrize(("patch", "said"), [(5, "patch=5 .* 12 channels"), (-1, "patch=-1")])
def test_a_patch_that_does_not_fit_is_refused(tmp_path: Path, patch: int, said: str) -> None:
    path = tmp_path / "patched.safetensors"
    save_file(network(CONFIG).state_dict(), path)
    with pytest.raises(InputError, match=said):
        load_adm_classifier(path, num_head_channels=32, patch=patch)


@pytest.mark.parametrize("changed", [{"image_size": 10}, {"patch": 0}, {"patch": 3}])
def test_a_size_that_does_not_halve_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"image_size is \d+ and its patch \d"):
        dataclasses.replace(CONFIG, **changed)
