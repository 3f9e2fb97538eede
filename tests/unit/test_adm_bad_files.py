"""Every file that cannot be used is refused in one sentence, and none gets to run code."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ilvr_latent import InputError
from ilvr_latent.adm import ADMConfig, cache, inspect_checkpoint, load_adm, save_adm
from ilvr_latent.adm.unet import ADMUNet

StateDict = dict[str, Tensor]

TINY = ADMConfig(
    image_size=16,
    num_channels=32,
    num_res_blocks=1,
    channel_mult=(1, 2),
    attention_levels=(1,),
    noise_schedule="cosine",
    num_heads=1,
)
FLAGS: dict[str, Any] = {"image_size": 16, "num_heads": 1, "noise_schedule": "cosine"}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Never the user's cache."""
    monkeypatch.setenv("ILVR_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def state_dict() -> StateDict:
    torch.manual_seed(0)
    return ADMUNet(TINY).state_dict()


Writer = Callable[[Path, StateDict], object]


class Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.victim), "w")


def with_code(path: Path, zipped: bool) -> None:
    torch.save(
        {"model": Malicious(path.with_name("victim"))}, path, _use_new_zipfile_serialization=zipped
    )


def truncated(write: Writer, share: float) -> Writer:
    def make(path: Path, weights: StateDict) -> None:
        write(path, weights)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return make


def as_zip(path: Path, weights: StateDict) -> None:
    torch.save(weights, path)


def as_legacy(path: Path, weights: StateDict) -> None:
    torch.save(weights, path, _use_new_zipfile_serialization=False)


def as_safetensors(path: Path, weights: StateDict) -> None:
    save_adm(weights, path, config=TINY)


def other_zip(path: Path, _: object) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")


BAD: dict[str, tuple[Writer, str]] = {
    "absent": (lambda path, _: None, "There is no file"),
    "folder": (lambda path, _: path.mkdir(), "is a folder"),
    "pipe": (lambda path, _: os.mkfifo(path), "not a regular file"),
    "empty": (lambda path, _: path.touch(), "is empty"),
    "text": (lambda path, _: path.write_text("<!DOCTYPE html>"), "neither a PyTorch nor"),
    "one byte": (lambda path, _: path.write_bytes(b"x"), "neither a PyTorch nor"),
    "truncated zip": (truncated(as_zip, 0.5), "damaged or incomplete PyTorch"),
    "truncated legacy": (truncated(as_legacy, 0.5), "damaged or incomplete PyTorch"),
    "truncated legacy head": (truncated(as_legacy, 0.0005), "damaged or incomplete PyTorch"),
    "truncated safetensors": (truncated(as_safetensors, 0.5), "damaged or incomplete safetens"),
    "truncated header": (truncated(as_safetensors, 0.001), "damaged or incomplete safetensors"),
    "header that is no JSON": (
        lambda path, _: path.write_bytes(struct.pack("<Q", 4) + b"{abc" + bytes(99)),
        "damaged or incomplete safetensors",
    ),
    "other zip": (other_zip, "damaged or incomplete PyTorch"),
    "code in zip": (lambda path, _: with_code(path, True), r"wants to run code \(\w+\.open\)"),
    "code in legacy": (lambda path, _: with_code(path, False), "wants to run code"),
    "code in bare pickle": (
        lambda path, _: path.write_bytes(pickle.dumps(Malicious(path.with_name("victim")), 2)),
        "wants to run code|damaged or incomplete",
    ),
    "a list": (lambda path, _: torch.save([1, 2], path), "holds a list, not the weights"),
    "an empty dict": (lambda path, _: torch.save({}, path), "an empty dict"),
    "not tensors": (lambda path, _: torch.save({"a": 3}, path), "holds int under 'a'"),
    "Stable Diffusion": (
        lambda path, _: torch.save(
            {"state_dict": {"model.diffusion_model.out.2.weight": torch.zeros(1)}}, path
        ),
        "Stable Diffusion",
    ),
    "one tensor less": (
        lambda path, weights: torch.save(dict(list(weights.items())[:-1]), path),
        "not the tensors of a guided-diffusion|equal levels",
    ),
    "metadata of another kind": (
        lambda path, weights: save_file(weights, path, {"ilvr_adm_config": "[]"}),
        "metadata 'ilvr_adm_config' cannot be read",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_one_sentence(
    kind: str, state_dict: StateDict, tmp_path: Path
) -> None:
    make, said = BAD[kind]
    path = tmp_path / "model.pt"
    make(path, state_dict)
    for read in (load_adm, inspect_checkpoint):
        with pytest.raises(InputError, match=said) as caught:
            read(path, **FLAGS)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "victim").exists()
    assert not cache.folder().exists()


def test_a_file_without_read_permission(
    state_dict: StateDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pt"
    torch.save(state_dict, path)

    def denied(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", denied)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        load_adm(path, **FLAGS)
