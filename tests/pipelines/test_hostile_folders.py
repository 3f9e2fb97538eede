"""Pipeline folders with code in them: none is run, whatever file of whatever part it is in."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

from ilvr_latent import InputError
from ilvr_latent.pipelines.load import load_pipeline
from tests.pipelines.support.tiny import saved_sd

# What diffusers and transformers look for, and the pickle that they would take in its place.
WEIGHTS = {
    "unet": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    "vae": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    "text_encoder": ("model.safetensors", "pytorch_model.bin"),
}


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_sd(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "pipeline"))


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_pipeline(str(folder))
    said = str(caught.value)
    assert "\n" not in said and len(said) <= 400
    return said


def test_the_payload_would_make_a_folder(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "canary")))
    assert (tmp_path / "canary").is_dir()


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside safetensors"])
@pytest.mark.parametrize("part", WEIGHTS)
def test_pickled_weights_are_not_opened(
    folder: Path, tmp_path: Path, part: str, beside: bool
) -> None:
    safe, pickled = (folder / part / name for name in WEIGHTS[part])
    pickled.write_bytes(pickle.dumps(Payload(tmp_path / "canary")))
    if beside:
        load_pipeline(str(folder))
    else:
        safe.unlink()
        assert "no pickle is opened" in refused(folder)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("part", WEIGHTS)
def test_a_pickle_by_the_name_of_safetensors_is_refused(
    folder: Path, tmp_path: Path, part: str
) -> None:
    (folder / part / WEIGHTS[part][0]).write_bytes(pickle.dumps(Payload(tmp_path / "canary")))
    refused(folder)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("part", ["unet", "scheduler", "more"])
def test_no_module_that_the_index_names_is_imported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Importing one may do anything: Python's own ``antigravity`` opens a browser."""
    (tmp_path / "ilvr_payload.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'canary')!r})")
    monkeypatch.syspath_prepend(str(tmp_path))
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {part: ["ilvr_payload", "Own"]}))
    assert "ilvr_payload" in refused(folder)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"_class_name": 5}', "[" * 100_000])
def test_an_index_that_is_none_is_named(folder: Path, text: str) -> None:
    (folder / "model_index.json").write_text(text)
    assert str(folder) in refused(folder)


@pytest.mark.parametrize("at", ["class", "custom pipeline", "component"])
def test_code_beside_the_weights_is_not_imported(folder: Path, tmp_path: Path, at: str) -> None:
    """What ``trust_remote_code`` would run."""
    code = f"import os\nos.mkdir({str(tmp_path / 'canary')!r})\nclass Own: pass\n"
    index = folder / "model_index.json"
    known = json.loads(index.read_text())
    if at == "class":
        known["_class_name"] = ["own", "Own"]
        (folder / "own.py").write_text(code)
    elif at == "custom pipeline":
        known["_class_name"] = "Own"
        (folder / "pipeline.py").write_text(code)
    else:
        known["unet"] = ["own", "Own"]
        (folder / "unet" / "own.py").write_text(code)
    index.write_text(json.dumps(known))
    refused(folder)
    assert not (tmp_path / "canary").exists()
