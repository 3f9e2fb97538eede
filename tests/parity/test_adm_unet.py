"""The network against guided-diffusion's own output, from a real ``.pt`` file on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ilvr_latent.adm import inspect_checkpoint, load_adm

StateDict = dict[str, Tensor]
Checkpoint = Callable[[StateDict], Path]
Golden = Callable[[str], Any]

NAMES = ("a11_ffhq32", "e_neworder", "f_numheads4_2w", "g_512", "h_nosigma")
TOLERANCE = 2e-5
SCHEDULE: dict[str, Any] = {"noise_schedule": "linear"}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache folder that cannot be made: these tests are about the network."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("ILVR_CACHE", str(tmp_path / "file"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Iterator[Checkpoint]:
    """Write a state dict; removed at once after the test (one is 100 MB)."""
    path = tmp_path / "model.pt"

    def write(state_dict: StateDict) -> Path:
        torch.save(state_dict, path)
        return path

    yield write
    path.unlink(missing_ok=True)


def relative_error(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("name", NAMES)
def test_output_is_that_of_guided_diffusion(
    name: str, golden_unet: Golden, checkpoint: Checkpoint
) -> None:
    golden = golden_unet(name)
    path = checkpoint(golden.state_dict)

    told = inspect_checkpoint(path, **golden.flags, **SCHEDULE)
    assert told.config is not None
    assert told.detected.num_channels == golden.detected["model_channels"]
    assert told.detected.num_res_blocks == golden.detected["num_res_blocks"]
    assert list(told.config.block_out_channels) == golden.detected["block_out_channels"]
    attends = [
        level in told.detected.attention_levels for level in range(golden.detected["levels"])
    ]
    assert attends == golden.detected["attn_levels"]
    for flag in ("learn_sigma", "resblock_updown", "use_scale_shift_norm", "num_classes"):
        assert getattr(told.detected, flag) == golden.detected[flag]

    model = load_adm(path, **golden.flags, **SCHEDULE)
    out = model(golden.x, golden.t)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, golden.out, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["a11_ffhq32", "e_neworder"])
def test_the_wrong_order_of_q_k_v_loads_and_is_wrong(
    name: str, golden_unet: Golden, checkpoint: Checkpoint
) -> None:
    golden = golden_unet(name)
    flags = golden.flags | {
        "use_new_attention_order": not golden.flags["use_new_attention_order"],
    }
    model = load_adm(checkpoint(golden.state_dict), **flags, **SCHEDULE)
    assert relative_error(model(golden.x, golden.t), golden.out) > 0.01


def test_the_wrong_number_of_heads_loads_and_is_wrong(
    golden_unet: Golden, checkpoint: Checkpoint
) -> None:
    golden = golden_unet("a11_ffhq32")
    flags = golden.flags | {"num_heads": 1, "num_head_channels": -1}
    model = load_adm(checkpoint(golden.state_dict), **flags, **SCHEDULE)
    assert relative_error(model(golden.x, golden.t), golden.out) > 0.01


def test_bfloat16_is_close(golden_unet: Golden, checkpoint: Checkpoint) -> None:
    golden = golden_unet("a11_ffhq32")
    path = checkpoint(golden.state_dict)
    model = load_adm(path, dtype=torch.bfloat16, **golden.flags, **SCHEDULE)
    out = model(golden.x, golden.t)
    assert out.dtype == torch.float32
    assert relative_error(out, golden.out) < 0.05
