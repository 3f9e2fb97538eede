"""``ilvr adm-sample``: the authors' command line on a checkpoint as they have it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ilvr_latent import Reference, SeededNoise, load_adm, sample
from ilvr_latent.pictures.images import read_image, to_images, to_tensor

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
Checkpoint = Callable[..., Path]

# As in the authors' README, with the sizes of the little network.
AUTHORS = shlex.split(
    """--attention_resolutions 8 --class_cond False --diffusion_steps 1000 --dropout 0.0
    --image_size 16 --learn_sigma True --noise_schedule linear --num_channels 32
    --num_head_channels 16 --num_res_blocks 1 --channel_mult 1,1 --resblock_updown True
    --use_fp16 False --use_scale_shift_norm True --timestep_respacing 4 --down_N 4 --range_t 0"""
)


@pytest.fixture
def checkpoint(tiny_checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """A bare state dict, which tells nothing but its shapes."""
    path = tmp_path / "model.pt"
    torch.save(load_file(tiny_checkpoint()), path)
    return path


@pytest.fixture
def square(references: Path) -> Path:
    """The references, none smaller than the network's size."""
    for path in references.iterdir():
        with Image.open(path) as picture:
            enlarged = picture.resize((picture.width * 2, picture.height * 2))
        enlarged.save(path)
    return references


@pytest.fixture
def adm_sample(ilvr: Command, checkpoint: Path, square: Path, output: Path) -> Command:
    """The authors' command; flags that are given again count."""

    def run(*flags: object) -> Outcome:
        return ilvr(
            "adm-sample",
            *AUTHORS,
            *("--model_path", checkpoint, "--base_samples", square, "--save_dir", output),
            *("--batch_size", 2, "--num_samples", 4, "--device", "cpu"),
            *flags,
        )

    return run


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_numbered_pictures_are_written(adm_sample: Command, output: Path) -> None:
    outcome = adm_sample()
    assert (outcome.status, outcome.err) == (0, "")
    assert names(output) == ["00000.png", "00001.png", "00002.png", "00003.png"]
    for path in output.iterdir():
        with Image.open(path) as picture:
            assert (picture.mode, picture.size) == ("RGB", (16, 16))


def test_whole_batches_are_made(adm_sample: Command, output: Path) -> None:
    adm_sample("--num_samples", 3)
    assert len(names(output)) == 4


def test_two_runs_write_the_same_bytes(adm_sample: Command, output: Path, tmp_path: Path) -> None:
    adm_sample()
    adm_sample("--save_dir", tmp_path / "again")
    adm_sample("--save_dir", tmp_path / "other", "--seed", 1)
    for path in output.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
        assert (tmp_path / "other" / path.name).read_bytes() != path.read_bytes()


def test_the_pictures_are_those_of_the_library(
    adm_sample: Command, output: Path, checkpoint: Path, square: Path
) -> None:
    adm_sample("--batch_size", 1, "--num_samples", 1, "--range_t", 1)
    model = load_adm(
        checkpoint,
        image_size=16,
        num_head_channels=16,
        use_new_attention_order=False,
        noise_schedule="linear",
    )
    # a.png is 32x32: guided-diffusion halves it by averaging.
    y_0 = to_tensor(read_image(square / "a.png").resize((16, 16), Image.Resampling.BOX))
    x = sample(
        model, Reference(y_0, 4), steps=4, compat="ilvr_adm", range_t=1, noise=SeededNoise(0)
    )
    with Image.open(output / "00000.png") as picture:
        made = np.asarray(picture).astype(np.int16)
    wanted = np.asarray(to_images(x)[0]).astype(np.int16)
    assert np.abs(made - wanted).max() <= 1


def test_what_the_file_says_itself_need_not_be_typed(
    ilvr: Command, tiny_checkpoint: Checkpoint, square: Path, output: Path, adm_sample: Command,
    tmp_path: Path,
) -> None:  # fmt: skip
    adm_sample("--num_samples", 2, "--save_dir", tmp_path / "typed")
    outcome = ilvr(
        "adm-sample",
        *("--model_path", tiny_checkpoint(), "--base_samples", square, "--save_dir", output),
        *("--timestep_respacing", 4, "--down_N", 4, "--batch_size", 2, "--num_samples", 2),
        *("--device", "cpu"),
    )
    assert outcome.status == 0
    for path in output.iterdir():
        assert (tmp_path / "typed" / path.name).read_bytes() == path.read_bytes()


def test_labels_come_from_file_names(
    ilvr: Command,
    tiny_checkpoint: Checkpoint,
    square: Path,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ilvr_latent.adm.unet import ADM

    seen: list[list[int]] = []
    forward = ADM.forward

    def spy(self: ADM, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen.append(y.tolist())
        return forward(self, x, t, y)

    monkeypatch.setattr(ADM, "forward", spy)
    for old, new in (("a", "dog_1"), ("b", "cat_1"), ("c", "dog_2")):
        (square / f"{old}.png").rename(square / f"{new}.png")
    outcome = ilvr(
        "adm-sample",
        *("--model_path", tiny_checkpoint(num_classes=10), "--base_samples", square),
        *("--save_dir", output, "--timestep_respacing", 2, "--batch_size", 3),
        *("--num_samples", 3, "--down_N", 4, "--device", "cpu"),
    )
    assert outcome.status == 0
    assert seen == [[0, 1, 1]] * 2  # cat_1, dog_1, dog_2


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--model_path", ""], "--model_path"),
        (["--base_samples", ""], "--base_samples"),
        (["--save_dir", ""], "--save_dir"),
        (["--model_path", "absent.pt"], "absent.pt"),
        (["--base_samples", "absent"], "absent"),
        (["--batch_size", "0"], "--batch_size is 0"),
        (["--batch_size", "4"], "--batch_size is 4 for 3 references"),
        (["--num_samples", "0"], "--num_samples is 0"),
        (["--num_samples", "-8"], "--num_samples is -8"),
        (["--down_N", "0"], "0"),
        (["--range_t", "3"], "range_t is 3, but with 4 steps it must be from 0 to 2"),
        (["--range_t", "-1"], "range_t is -1"),
        (["--timestep_respacing", "ddim300"], "'ddim300'"),
        (["--noise_schedule", "square"], "square"),
        (["--num_channels", "64"], "num_channels=64"),
        (["--class_cond", "True"], "class_cond"),
        (["--attention_resolutions", "16"], "attention"),
        (["--image_siz", "16"], "--image_siz"),
    ],
    ids=str,
)
def test_a_flag_that_cannot_be_used_is_named(
    flags: list[str], named: str, adm_sample: Command, output: Path, no_sampling: None
) -> None:
    adm_sample(*flags).is_refusal_of(named)
    assert not list(output.rglob("*"))


def test_a_folder_without_pictures_is_named(
    adm_sample: Command, tmp_path: Path, no_sampling: None
) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "letter.txt").touch()
    adm_sample("--base_samples", tmp_path / "none").is_refusal_of(str(tmp_path / "none"))


def test_a_reference_that_cannot_be_read_is_named(
    adm_sample: Command, square: Path, output: Path, no_sampling: None
) -> None:
    (square / "a.png").write_text("dear network")
    adm_sample().is_refusal_of("a.png")
    assert not list(output.iterdir())
