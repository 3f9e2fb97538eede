"""A file on disk to a network and back: formats, wrappers, metadata, the cache."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import InputError
from ilvr_latent.adm import ADMConfig, cache, inspect_checkpoint, load_adm, save_adm
from ilvr_latent.adm.unet import ADM, ADMUNet

StateDict = dict[str, Tensor]

TINY = ADMConfig(
    image_size=16,
    num_channels=32,
    num_res_blocks=1,
    channel_mult=(1, 2),
    attention_levels=(1,),
    noise_schedule="cosine",
    num_head_channels=16,
    resblock_updown=True,
    learn_sigma=True,
)
FLAGS: dict[str, Any] = {
    "image_size": 16,
    "num_head_channels": 16,
    "use_new_attention_order": False,
    "noise_schedule": "cosine",
}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Never the user's cache."""
    monkeypatch.setenv("ILVR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def network(config: ADMConfig) -> ADM:
    torch.manual_seed(0)
    return ADM(ADMUNet(config), config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tiny() -> ADM:
    return network(TINY)


@pytest.fixture(scope="module")
def state_dict(tiny: ADM) -> StateDict:
    return tiny.unet.state_dict()


def run(model: ADM) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    config = model.config
    shape = (2, config.image_channels, config.image_size, config.image_size)
    x = torch.randn(shape, generator=generator)
    y = None if config.num_classes is None else torch.tensor([0, config.num_classes - 1])
    low_res = x[..., ::2, ::2] if config.super_resolution else None
    out: Tensor = model(x, torch.tensor([3, 700]), y, low_res=low_res)
    return out


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_classes": 10},
        {"super_resolution": True},
        {"resblock_updown": False, "use_scale_shift_norm": False, "learn_sigma": False},
        {"patch": 2, "prediction_type": "v_prediction", "learn_sigma": False},
        {"num_heads": 2, "num_head_channels": -1, "num_heads_upsample": 4},
        {"channel_mult": (0.5, 1), "num_channels": 64, "use_new_attention_order": True},
    ],
    ids=str,
)
def test_what_is_saved_is_loaded_without_flags(changes: dict[str, Any], tmp_path: Path) -> None:
    model = network(dataclasses.replace(TINY, **changes))
    path = tmp_path / "model.safetensors"
    save_adm(model, path, dtype=torch.float32)
    loaded = load_adm(path)
    assert loaded.config == model.config
    torch.testing.assert_close(run(loaded), run(model), rtol=0, atol=1e-5)


def test_the_network_is_ready_to_sample(state_dict: StateDict, tmp_path: Path) -> None:
    torch.save(state_dict, tmp_path / "model.pt")
    model = load_adm(tmp_path / "model.pt", **FLAGS)
    assert not model.training
    assert not any(p.requires_grad or p.is_meta for p in model.parameters())
    assert model.dtype == torch.float32
    last = model.unet.get_parameter("out.2.weight")
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert load_adm(tmp_path / "model.pt", dtype=torch.bfloat16, **FLAGS).dtype == torch.bfloat16
    with pytest.raises(InputError, match=r"dtype is torch\.int8"):
        load_adm(tmp_path / "model.pt", dtype=torch.int8, **FLAGS)


def test_a_loaded_network_outlives_its_file(
    state_dict: StateDict, tiny: ADM, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_adm(state_dict, path, config=TINY, dtype=torch.float32)
    model = load_adm(path)
    path.write_bytes(b"")
    torch.testing.assert_close(run(model), run(tiny), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"model": {"broken": torch.zeros(1)}, "ema": weights, "step": 7},
        lambda weights: {"module." + name: tensor for name, tensor in weights.items()},
        lambda weights: {name: torch.nn.Parameter(tensor) for name, tensor in weights.items()},
        lambda weights: {name: tensor.half() for name, tensor in weights.items()},
    ],
    ids=["plain", "state_dict", "ema", "module", "parameters", "fp16"],
)
def test_wrappers(
    wrap: Callable[[StateDict], object],
    state_dict: StateDict,
    tiny: ADM,
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.bin"  # what a file is, its content says
    torch.save(wrap(state_dict), path)
    torch.testing.assert_close(run(load_adm(path, **FLAGS)), run(tiny), rtol=0, atol=5e-3)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_pickle_formats_and_their_cached_copies(
    zipped: bool, state_dict: StateDict, tiny: ADM, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"  # in spite of its name
    torch.save(state_dict, path, _use_new_zipfile_serialization=zipped)
    for _ in range(2):  # the second time from the cache
        torch.testing.assert_close(run(load_adm(path, **FLAGS)), run(tiny), rtol=0, atol=1e-5)


def test_inspection_tells_all_and_raises_nothing_for_missing_flags(
    state_dict: StateDict, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    torch.save(state_dict, path)
    told = inspect_checkpoint(path)
    assert told.config is None
    assert "noise_schedule" in str(told.missing)
    assert (told.size, told.file_format) == (path.stat().st_size, "PyTorch")
    assert told.parameters == sum(tensor.numel() for tensor in state_dict.values())
    assert told.dtypes == ("float32",)

    told = inspect_checkpoint(path, **FLAGS)
    assert (told.config, told.missing, told.known) == (TINY, None, None)
    assert json.loads(json.dumps(told.to_dict()))["detected"]["channel_mult"] == [1, 2]
    assert not cache.folder().exists()


def test_metadata_wins_and_a_flag_against_it_is_refused(
    state_dict: StateDict, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_adm(state_dict, path, config=TINY)
    assert inspect_checkpoint(path).config == TINY
    assert inspect_checkpoint(path).dtypes == ("float16",)
    assert load_adm(path, **FLAGS, dropout=0.3, use_fp16=True).config == TINY
    with pytest.raises(InputError, match=r"noise_schedule=linear .* noise_schedule=cosine"):
        load_adm(path, noise_schedule="linear")


def test_saving_takes_weights_alone_and_refuses_what_does_not_fit(
    tiny: ADM, state_dict: StateDict, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_adm(tiny.unet.state_dict(), path, config=TINY, dtype=torch.float32)
    torch.testing.assert_close(run(load_adm(path)), run(tiny), rtol=0, atol=1e-5)
    before = path.read_bytes()
    with pytest.raises(InputError, match="config="):
        save_adm(state_dict, path)
    with pytest.raises(InputError, match="not the tensors"):
        save_adm(state_dict, path, config=dataclasses.replace(TINY, num_classes=3))
    with pytest.raises(InputError, match="cannot be written"):
        save_adm(tiny, tmp_path / "absent" / "model.safetensors")
    assert path.read_bytes() == before
    assert names(tmp_path) == ["model.safetensors"]


def test_an_interrupted_save_leaves_the_old_file(
    tiny: ADM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def interrupted(_tensors: object, partial: Path, **_metadata: object) -> None:
        partial.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_adm(tiny, path)
    assert names(tmp_path) == ["model.safetensors"]
    assert path.read_bytes() == b"old"


# ---- the cache ----


def test_a_pickle_is_read_once(
    state_dict: StateDict, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pt"
    torch.save(state_dict, path)
    load_adm(path, **FLAGS)
    (copy,) = own_cache.iterdir()
    assert copy.name.startswith("model-")
    assert names(tmp_path) == ["cache", "model.pt"]

    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled again"))
    load_adm(path, **FLAGS)
    copy.write_bytes(copy.read_bytes()[:5000])
    monkeypatch.undo()
    monkeypatch.setenv("ILVR_CACHE", str(own_cache))
    load_adm(path, **FLAGS)
    assert copy.stat().st_size > 5000


def test_a_changed_file_has_a_new_copy_and_the_old_one_goes(
    state_dict: StateDict, tmp_path: Path, own_cache: Path
) -> None:
    path = tmp_path / "model.pt"
    torch.save(state_dict, path)
    load_adm(path, **FLAGS)
    (first,) = own_cache.iterdir()
    stranger = own_cache / "model-of-someone-else.safetensors"
    stranger.touch()
    os.utime(path, ns=(0, 1))
    load_adm(path, **FLAGS)
    assert not first.exists()
    assert stranger.exists()
    assert len(list(own_cache.iterdir())) == 2


def test_without_a_writable_cache_it_works_all_the_same(
    state_dict: StateDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ILVR_CACHE", str(tmp_path / "file"))
    torch.save(state_dict, tmp_path / "model.pt")
    with caplog.at_level("INFO"):
        load_adm(tmp_path / "model.pt", **FLAGS)
    assert "not cached" in caplog.text


def test_a_full_disk_leaves_nothing_behind(
    state_dict: StateDict, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_tensors: object, partial: Path, **_metadata: object) -> None:
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    torch.save(state_dict, tmp_path / "model.pt")
    load_adm(tmp_path / "model.pt", **FLAGS)
    assert list(own_cache.iterdir()) == []


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache.folder() == tmp_path / "cache"
    monkeypatch.delenv("ILVR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.folder().as_posix() == "/xdg/ilvr"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache.folder().as_posix() == "/home/someone/.cache/ilvr"
