"""``ilvr sample --pipeline`` with a tiny pipeline on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ilvr_latent.cli import main
from tests.pipelines.support.tiny import saved_sd

Outcome = tuple[int, str, str]
Command = Callable[..., Outcome]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole StableDiffusionPipeline with a tokenizer of its own, 16 tokens long."""
    return saved_sd(tmp_path_factory.mktemp("pipelines"))


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.radial_gradient("L").resize((40, 30)).convert("RGB").save(path)
    return path


@pytest.fixture
def sample(
    folder: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Command:  # fmt: skip
    """``ilvr sample --pipeline`` that works; options that are given again count."""

    def run(*options: object, pipeline: object = folder) -> Outcome:
        arguments = [
            *("sample", "--pipeline", pipeline, "--prompt", "a cat", "--reference", reference),
            *("--factor", 4, "--steps", 4, "--device", "cpu", "--output", tmp_path / "out"),
            *options,
        ]
        capsys.readouterr()
        caplog.clear()
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err + caplog.text

    return run


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_pictures_a_sheet_and_their_settings(sample: Command, tmp_path: Path) -> None:
    status, out, err = sample("--samples", 2, "--batch-size", 2, "--json", "--seed", 5)
    assert (status, err) == (0, "")
    record = json.loads(out)
    names = [Path(name).name for name in record["files"]]
    assert names == ["a_N4_seed5.png", "a_N4_seed6.png"]
    assert pixels(tmp_path / "out" / names[0]).shape == (32, 32, 3)
    assert (tmp_path / "out" / "sheet.png").is_file()
    assert record["settings"]["prompt"] == "a cat"
    with Image.open(tmp_path / "out" / names[0]) as picture:
        picture.load()
        assert json.loads(picture.info["ilvr"])["seed"] == 5


def test_seeds_repeat_whatever_the_batch_and_settings_change_the_picture(
    sample: Command, tmp_path: Path
) -> None:
    made = {}
    runs: dict[str, tuple[object, ...]] = {
        "alone": (),
        "again": (),
        "batch": ("--samples", 2, "--batch-size", 2),
        "off": ("--weight", 0),
        "prediction": ("--space", "prediction"),
        "words": ("--prompt", "a red cat", "--negative-prompt", "cat", "--guidance-scale", 4),
        "other": ("--scheduler", "UniPCMultistep"),
        "start": ("--strength", 0.5),
    }
    for name, options in runs.items():
        status, _, err = sample(*options, "--output", tmp_path / name)
        assert status == 0, err
        made[name] = pixels(tmp_path / name / "a_N4_seed0.png")
    assert (made["alone"] == made["again"]).all()
    assert np.abs(made["alone"] - made["batch"]).max() <= 1
    for name in ("off", "prediction", "words", "other", "start"):
        assert (made[name] != made["alone"]).any(), name


def test_a_style_changes_the_picture_and_weight_0_does_not(
    sample: Command, reference: Path, tmp_path: Path
) -> None:
    style = tmp_path / "style.png"
    Image.radial_gradient("L").resize((40, 30)).rotate(45).convert("RGB").save(style)
    made = []
    for options in ((), ("--style", style, "--style-weight", 0), ("--style", style)):
        status, _, err = sample(*options)
        assert (status, err) == (0, "")
        made.append(pixels(tmp_path / "out" / "a_N4_seed0.png"))
    assert (made[0] == made[1]).all()
    assert (made[0] != made[2]).any()


def test_another_size(sample: Command, tmp_path: Path) -> None:
    assert sample("--height", 48, "--width", 40)[0] == 0
    assert pixels(tmp_path / "out" / "a_N4_seed0.png").shape == (48, 40, 3)


def test_words_that_the_model_does_not_read_are_named(sample: Command) -> None:
    status, _, err = sample("--prompt", "cat " * 14 + "red dog")
    assert status == 0
    assert "longer than 16 tokens; left out: 'red dog'" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "embedded"), "--model is for guided-diffusion"),
        (("--sampler", "ddim"), "--sampler is for guided-diffusion"),
        (("--scheduler", "DDMI"), "DDIMScheduler"),
        (("--scheduler", "FlowMatchEulerDiscrete"), "no flow model"),
        (("--steps", "ddim25"), "use a whole number"),
        (("--strength", "2"), "--strength is 2.0"),
        (("--height", "33"), "multiples of 2 pixels"),
        (("--lora", "no.safetensors"), "There is no LoRA"),
        (("--factor", "0.5"), "factor"),
        (("--space", "state", "--step-range", "9", "12"), "holds none of the 4 steps"),
    ],
)
def test_what_it_refuses(sample: Command, options: tuple[str, ...], words: str) -> None:
    status, out, err = sample(*options)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_sources_that_are_no_pipeline(sample: Command, folder: Path, tmp_path: Path) -> None:
    from ilvr_latent.embedded import LATENT_MODEL

    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model_index.json").write_text((folder / "model_index.json").read_text())
    cases: list[tuple[object, str]] = [
        ("stabilityai/sdxl", "are not downloaded"),
        (tmp_path / "empty", "has no model_index.json"),
        (broken, "is not whole"),
        (tmp_path / "bad.safetensors", "cannot be read as a checkpoint"),
    ]
    if not LATENT_MODEL.exists():
        cases.append(("embedded", "embedded latent model is not at"))
    for source, words in cases:
        status, out, err = sample(pipeline=source)
        assert (status, out) == (2, ""), source
        assert words in err
        assert err.count("\n") == 1


def test_options_of_pipelines_need_one(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sample", "--reference", reference, "--factor", 4, "--output", tmp_path / "out"]
    assert main([str(a) for a in (*arguments, "--prompt", "a cat")]) == 2
    assert "--prompt belongs to --pipeline" in capsys.readouterr().err


def test_a_single_file_says_what_it_would_download(
    sample: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import save_file

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    import torch

    save_file({"model.diffusion_model.x": torch.zeros(1)}, tmp_path / "one.safetensors")
    status, _, err = sample(pipeline=tmp_path / "one.safetensors")
    assert status == 2
    assert "needs the configuration and tokenizer of" in err
    assert err.count("\n") == 1


def test_a_lora_changes_the_picture_and_one_for_another_model_is_refused(
    sample: Command, folder: Path, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    import diffusers
    import torch
    from safetensors.torch import save_file

    pipe = diffusers.StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.unet.add_adapter(peft.LoraConfig(r=2, target_modules=["to_v"], init_lora_weights=False))
    layers = peft.get_peft_model_state_dict(pipe.unet)
    pipe.save_lora_weights(tmp_path / "lora", unet_lora_layers=layers)
    save_file({"other": torch.zeros(1)}, tmp_path / "bad.safetensors")
    assert sample()[0] == 0
    before = pixels(tmp_path / "out" / "a_N4_seed0.png")
    status, _, err = sample("--lora", tmp_path / "lora" / "pytorch_lora_weights.safetensors")
    assert (status, err) == (0, "")
    assert (pixels(tmp_path / "out" / "a_N4_seed0.png") != before).any()
    status, _, err = sample("--lora", tmp_path / "bad.safetensors")
    assert status == 2
    assert "does not fit StableDiffusionPipeline" in err


def test_a_lora_without_peft_says_what_to_install(
    sample: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusers.utils.is_peft_available", lambda: False)
    (tmp_path / "lora.safetensors").write_bytes(b"")
    status, _, err = sample("--lora", tmp_path / "lora.safetensors")
    assert status == 2
    assert "pip install peft" in err


def test_a_mask_holds_its_part_of_the_latent(
    sample: Command, reference: Path, folder: Path, tmp_path: Path
) -> None:
    """The left half, and the column of cells that the edge goes through by half."""
    import torch

    from ilvr_latent.cli.settings import Settings

    mask = tmp_path / "mask.png"
    picture = Image.new("L", (32, 32))
    picture.paste(255, (0, 0, 12, 32))
    picture.save(mask)
    seen: list[Any] = []
    original = Settings.reference

    def spy(self: Settings, image: torch.Tensor, part: torch.Tensor | None) -> Any:
        seen.append(part)
        return original(self, image, part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "reference", spy)
        outs = []
        for options in ((), ("--mask", mask), ("--mask", mask, "--weight", 0)):
            status, _, err = sample(*options, "--fit", "stretch")
            assert (status, err) == (0, "")
            outs.append(pixels(tmp_path / "out" / "a_N4_seed0.png"))
    assert seen[0] is None
    part = seen[-1]
    assert part.shape[-2:] != (32, 32)
    assert float(part.mean()) == pytest.approx(12 / 32)
    assert len({out.tobytes() for out in outs}) == 3
    record = json.loads(Image.open(tmp_path / "out" / "a_N4_seed0.png").info["ilvr"])
    assert record["mask"] == str(mask)


def test_jumps_are_refused_with_a_pipeline(sample: Command) -> None:
    for option in ("--jump-length", "--jump-n-sample"):
        status, out, err = sample(option, 3)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        assert option in err
