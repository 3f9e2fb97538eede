"""A cached conversion that is not the checkpoint's: the checkpoint loads all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ilvr_latent import load_adm
from ilvr_latent.adm import cache

FLAGS: dict[str, Any] = {
    "image_size": 16,
    "num_head_channels": 16,
    "use_new_attention_order": False,
    "noise_schedule": "linear",
}


@pytest.fixture
def checkpoint(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A pickled one, whose copy goes into a cache of its own."""
    monkeypatch.setenv("ILVR_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model.pt"
    torch.save(load_file(tiny_checkpoint()), path)
    return path


def written_as_its_copy(checkpoint: Path, content: Path | bytes) -> Path:
    copy = cache.location(checkpoint)
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return copy


@pytest.mark.parametrize("changes", [{"num_channels": 64}, {"image_channels": 1}], ids=str)
def test_the_copy_of_another_network(
    checkpoint: Path, tiny_checkpoint: Callable[..., Path], tmp_path: Path, changes: dict[str, int]
) -> None:
    """One that the flags do not fit, or that is not whole: the file itself tells."""
    other = load_file(tiny_checkpoint(**changes))
    other.pop("out.2.weight")
    save_file(other, tmp_path / "other.safetensors")
    copy = written_as_its_copy(checkpoint, tmp_path / "other.safetensors")
    model = load_adm(checkpoint, **FLAGS)
    assert (model.config.num_channels, model.config.image_channels) == (32, 3)
    # It takes the place of the other.
    assert load_file(copy).keys() == load_file(tiny_checkpoint()).keys()


def test_a_copy_that_is_no_network(checkpoint: Path, tmp_path: Path) -> None:
    save_file({"something": torch.ones(3)}, tmp_path / "other.safetensors")
    for content in (tmp_path / "other.safetensors", b"", b"\x80\x02nothing", b"\0" * 9000):
        written_as_its_copy(checkpoint, content)
        assert load_adm(checkpoint, **FLAGS).config.num_channels == 32


def test_a_folder_in_the_place_of_the_copy(checkpoint: Path) -> None:
    cache.location(checkpoint).mkdir(parents=True)
    assert load_adm(checkpoint, **FLAGS).config.num_channels == 32
