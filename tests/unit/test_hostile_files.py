"""Files that mean harm, or are broken in a way that nobody thought of: refused in one line."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from PIL import Image
from safetensors.torch import load_file, save_file

from ilvr_latent import InputError, load_adm
from ilvr_latent.adm.weights import read_weights
from ilvr_latent.pictures.images import as_rgb, find_images, read_image, to_images, to_tensor


def refused(read: Callable[[], object]) -> str:
    """The one line of the refusal."""
    with pytest.raises(InputError) as caught:
        read()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) <= 400
    return text


def test_a_picture_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would give an EPS to Ghostscript, whatever the file is called."""
    started: list[object] = []
    monkeypatch.setattr("subprocess.Popen", lambda *a, **_: started.append(a))
    path = tmp_path / "x.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    assert "cannot be read as a picture" in refused(lambda: read_image(path))
    assert started == []


def test_a_picture_of_a_small_file_is_not_a_large_one(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("1", (40_000, 4_000)).save(path)
    assert path.stat().st_size < 100_000
    assert "40000x4000 pixels" in refused(lambda: read_image(path))


def test_broken_metadata_does_not_hide_the_pixels(tmp_path: Path) -> None:
    """An orientation of a type that it cannot have, and a rational cut short."""
    path = tmp_path / "x.jpg"
    for tag, kind in ((0x0112, 5), (0x0112, 12), (0x011A, 10)):
        entry = struct.pack("<HHII", tag, kind, 1, 0xFFFF)
        exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\0\0\0\0"
        Image.new("RGB", (8, 8), "red").save(path, exif=exif)
        assert read_image(path).tobytes()[0] > 200


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16"])
def test_a_picture_is_the_same_through_every_door(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (8, 6), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 4, 6))
    if mode == "I;16":
        image = Image.new("I;16", (8, 6), 30_000)
    elif mode != "RGBA":
        image = image.convert(mode)
    path = tmp_path / "x.png"
    image.save(path)
    opened = Image.open(path)
    assert torch.equal(to_tensor(opened), to_tensor(read_image(path)))
    assert as_rgb(opened).tobytes() == read_image(path).tobytes()


def test_what_is_not_finite_is_no_picture() -> None:
    x = torch.zeros(1, 3, 4, 4)
    x[0, 1, 2, 3] = torch.nan
    assert "NaN" in refused(lambda: to_images(x))


def test_weights_that_are_not_finite_are_named(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    tensors = load_file(tiny_checkpoint())
    tensors["out.2.weight"] = tensors["out.2.weight"].clone()
    tensors["out.2.weight"][0, 0, 0, 0] = torch.inf
    path = tmp_path / "inf.safetensors"
    save_file(tensors, path, _metadata(tiny_checkpoint()))
    assert "out.2.weight" in refused(lambda: load_adm(path))


def _metadata(path: Path) -> dict[str, str]:
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    found: dict[str, str] = header["__metadata__"]
    return found


@pytest.mark.parametrize(
    "claim", [{"num_res_blocks": 1_000_000}, {"num_channels": 2**40}, {"channel_mult": [1] * 900}]
)
def test_a_claim_of_a_huge_network_is_refused_before_it_is_built(
    tiny_checkpoint: Callable[..., Path],
    tmp_path: Path,
    claim: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metadata = {
        name: json.dumps(json.loads(text) | claim) if text.startswith("{") else text
        for name, text in _metadata(tiny_checkpoint()).items()
    }
    for name, value in claim.items():
        if name in metadata:
            metadata[name] = json.dumps(value)
    path = tmp_path / "huge.safetensors"
    save_file(load_file(tiny_checkpoint()), path, metadata)
    # Built first, it would take minutes or all memory.
    monkeypatch.setattr(UNet2DModel, "__init__", lambda *_, **__: pytest.fail("built"))
    refused(lambda: load_adm(path))


def test_names_that_claim_a_billion_blocks_are_refused(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    for block in ("999999999", "9" * 5000):
        tensors = dict(load_file(tiny_checkpoint()))
        tensors[f"output_blocks.{block}.0.in_layers.0.weight"] = torch.ones(1)
        path = tmp_path / "names.safetensors"
        save_file(tensors, path)
        refused(functools.partial(load_adm, path))


@pytest.mark.parametrize("kind", ["stride 0", "sparse", "integer", "complex", "meta"])
def test_tensors_that_are_no_plain_weights_are_refused(tmp_path: Path, kind: str) -> None:
    tensor = {
        "stride 0": torch.zeros(1).expand(1 << 14, 1 << 14),
        "sparse": torch.eye(4).to_sparse(),
        "integer": torch.ones(4, dtype=torch.int64),
        "complex": torch.ones(4, dtype=torch.complex64),
        "meta": torch.ones(4, device="meta"),
    }[kind]
    path = tmp_path / "x.pt"
    torch.save({"time_embed.0.weight": tensor}, path)
    said = refused(lambda: load_adm(path))
    assert "time_embed.0.weight" in said or kind == "meta"


def test_the_config_of_a_file_has_the_right_kinds_of_values(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    from ilvr_latent.adm.config import ADMConfig

    config = ADMConfig.from_metadata(_metadata(tiny_checkpoint()))
    assert config is not None
    tensors = load_file(tiny_checkpoint())
    path = tmp_path / "x.safetensors"
    wrong: tuple[object, ...] = (None, "x", [], [1], {}, -1, 1e400, True, "9" * 400)
    for field in dataclasses.fields(config):
        for value in wrong:
            changed = dataclasses.asdict(config) | {field.name: value}
            metadata = {
                name: json.dumps(changed) if text.startswith("{") else text
                for name, text in _metadata(tiny_checkpoint()).items()
            }
            save_file(tensors, path, metadata)
            try:
                load_adm(path)
            except InputError as error:
                assert "\n" not in str(error)


def test_a_long_side_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.tiff"
    Image.new("1", (300, 60_000)).save(path, compression="group4")
    assert "a side" in refused(lambda: read_image(path))


@pytest.mark.parametrize(
    ("mode", "values", "wanted"),
    [
        ("F", [0.0, 0.51, 1.02], [0, 130, 255]),
        ("I", [0, 1_000_000, 2_000_000], [0, 128, 255]),
    ],
)
def test_deep_pictures_keep_their_greys(
    tmp_path: Path, mode: str, values: list[float], wanted: list[int]
) -> None:
    kind = np.float32 if mode == "F" else np.int32
    Image.fromarray(np.array([values], kind)).save(tmp_path / "x.tiff")
    assert [p[0] for p in np.asarray(read_image(tmp_path / "x.tiff"))[0]] == wanted


def test_what_systems_leave_beside_pictures_is_no_picture(tmp_path: Path) -> None:
    for name in ("a.png", "._a.png", "__MACOSX/b.png", ".ipynb_checkpoints/a-checkpoint.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name, format="PNG")
    assert [path.name for path in find_images([str(tmp_path)])] == ["a.png"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    assert "not a regular file" in refused(lambda: read_image(path))


def test_large_pictures_are_converted_in_pieces_as_whole_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise = Image.effect_noise((17, 40), 80)
    rgba = Image.merge("RGBA", (noise, noise, noise.rotate(90), noise.rotate(180)))
    whole = as_rgb(rgba).tobytes()
    monkeypatch.setattr("ilvr_latent.pictures.images.STRIP_PIXELS", 50)
    assert as_rgb(rgba).tobytes() == whole


@pytest.mark.parametrize("averaged", ["ema_model", "model_ema", "ema"])
def test_averaged_weights_are_taken_and_the_others_can_be_had(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, averaged: str
) -> None:
    weights = load_file(tiny_checkpoint())
    halved = {name: tensor / 2 for name, tensor in weights.items()}
    shadow = {"decay": 0.99, "shadow_params": list(halved.values())}
    path = tmp_path / "x.pt"
    torch.save({"model": weights, averaged: shadow if averaged == "ema" else halved}, path)
    ema, raw = read_weights(path), read_weights(path, "model")
    assert torch.equal(ema.tensors["out.2.weight"], halved["out.2.weight"])
    assert torch.equal(raw.tensors["out.2.weight"], weights["out.2.weight"])
    assert averaged in str(ema.taken)
    assert "weights=model" in str(ema.taken)


def test_an_archive_whose_records_are_cut_is_refused(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.pt", tmp_path / "cut.pt"
    torch.save({"time_embed.0.weight": torch.ones(4096)}, whole)
    with zipfile.ZipFile(whole) as read, zipfile.ZipFile(cut, "w") as written:
        for name in read.namelist():
            data = read.read(name)
            written.writestr(name, data[: len(data) // 2] if "/data/" in name else data)
    refused(lambda: read_weights(cut))
    assert read_weights(whole).tensors["time_embed.0.weight"].sum() == 4096


def test_a_refusal_names_the_file(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "of-my-own.safetensors"
    tensors = load_file(tiny_checkpoint())
    save_file(tensors, path)  # without its configuration
    assert "of-my-own" in refused(lambda: load_adm(path))
    tensors.pop("out.2.weight")
    save_file(tensors, path)
    assert "of-my-own" in refused(lambda: load_adm(path))
    assert "~nobody" in refused(lambda: load_adm("~nobody-of-this-name/x.pt"))
