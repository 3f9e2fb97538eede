"""Guidance by perturbed attention: its formula, what it leaves alone, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image
from torch import Tensor

from ilvr_latent import (
    InputError,
    LowPass,
    Reference,
    load_adm,
    sample,
    save_adm,
    with_perturbed_attention,
)
from ilvr_latent.adm.config import ADMConfig
from ilvr_latent.adm.layers import Attention
from ilvr_latent.adm.perturbed import see_itself
from ilvr_latent.adm.unet import ADM, ADMUNet

if TYPE_CHECKING:
    from tests.unit.conftest import Command

TIMESTEPS = torch.tensor([3, 700])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(**changes: object) -> ADM:
    given = {
        "image_size": 16,
        "num_channels": 32,
        "num_res_blocks": 1,
        "channel_mult": (1, 2),
        "attention_levels": (1,),
        "noise_schedule": "cosine",
        "num_head_channels": 16,
    }
    torch.manual_seed(0)
    config = ADMConfig(**(given | changes))  # type: ignore[arg-type]
    return ADM(ADMUNet(config), config).eval().requires_grad_(False)


CASES = [
    {},
    {"learn_sigma": True, "num_classes": 3},
    {"patch": 2, "learn_sigma": True},
    {"resblock_updown": True, "use_new_attention_order": True},
]


@pytest.mark.parametrize("changes", CASES)
def test_it_is_the_formula(changes: dict[str, object]) -> None:
    """eps + s (eps - eps_hat); the variance is the network's own."""
    model, x = network(**changes), normal(2, 3, 16, 16)
    y = torch.tensor([0, 2]) if model.config.num_classes else None
    out, perturbed = model(x, TIMESTEPS, y), model(x, TIMESTEPS, y, attend=see_itself)
    guided = with_perturbed_attention(model, 1.5)(x, TIMESTEPS, y)
    assert not torch.allclose(out[:, :3], perturbed[:, :3], atol=1e-3)
    wanted = out + 1.5 * (out - perturbed)
    torch.testing.assert_close(guided[:, :3], wanted[:, :3], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(guided[:, 3:], out[:, 3:], atol=1e-5, rtol=1e-4)


def test_a_place_that_sees_itself_alone_has_its_own_value() -> None:
    """The attention's own formula, of each place without the others."""
    attention = Attention(32, 4)
    q, k, v = (normal(2, 4, 9, 8, seed=seed) for seed in range(3))
    alone = [
        attention.attend(*(part[:, :, i : i + 1] for part in (q, k, v))) for i in range(q.shape[2])
    ]
    torch.testing.assert_close(see_itself(q, k, v), torch.cat(alone, dim=2))


def test_the_model_itself_stays_as_it_is(tmp_path: Path) -> None:
    model, x = network(), normal(2, 3, 16, 16)
    before = model(x, TIMESTEPS)
    guided = with_perturbed_attention(model, 2.0)
    guided(x, TIMESTEPS)
    assert torch.equal(model(x, TIMESTEPS), before)
    assert {p.data_ptr() for p in guided.parameters()} == {p.data_ptr() for p in model.parameters()}
    assert (guided.device, guided.dtype) == (model.device, model.dtype)
    assert guided.training is model.training
    assert with_perturbed_attention(model, 0.0) is model
    save_adm(guided, tmp_path / "model.safetensors", dtype=torch.float32)
    saved = load_adm(tmp_path / "model.safetensors")
    torch.testing.assert_close(saved(x, TIMESTEPS), before)


@pytest.mark.parametrize("scale", [-0.1, 100.5, math.nan, math.inf])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match=r"perturbed attention is .*; use 0 \(off\) to 100"):
        with_perturbed_attention(network(), scale)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_guided_in_fp32(dtype: torch.dtype) -> None:
    guided = with_perturbed_attention(network().to(dtype), 2.0)
    out = guided(normal(2, 3, 16, 16), TIMESTEPS)
    assert out.dtype == torch.float32
    exact = with_perturbed_attention(network(), 2.0)(normal(2, 3, 16, 16), TIMESTEPS)
    assert (out - exact).abs().max() < 0.1 * exact.abs().max()


def test_gradients_pass() -> None:
    """Guides ask for the gradient of what the network makes of the state."""
    x = normal(1, 3, 16, 16).requires_grad_()
    with_perturbed_attention(network(), 2.0)(x, TIMESTEPS[:1]).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0


def test_a_reference_is_matched_on_top() -> None:
    model = with_perturbed_attention(network(), 3.0)
    y = normal(2, 3, 16, 16).clamp(-1, 1)
    x = sample(model, Reference(y, 4.0, kernel="box"), steps=4, seed=1)
    phi = LowPass(4.0, "box")
    # The last step's state is matched at its own noise level, which is small.
    assert (phi(x) - phi(y)).abs().max() < 0.1


def test_the_command_guides(sampling: Command, output: Path) -> None:
    """Other pictures, which say so; 0 is as without the option."""
    found: list[tuple[bytes, float]] = []
    for given in ((), ("--perturbed-attention", 0), ("--perturbed-attention", 2)):
        folder = output.with_name(f"out{len(found)}")
        outcome = sampling(*given, "--output", folder, attention_levels=(1,))
        assert outcome.status == 0, outcome
        with Image.open(next(folder.glob("a_*seed0.png"))) as picture:
            scale = json.loads(picture.info["ilvr"])["perturbed_attention"]
            found.append((picture.tobytes(), scale))
    assert found[0] == found[1]
    assert found[1][0] != found[2][0]
    assert [scale for _, scale in found] == [0, 0, 2]


def test_the_command_refuses_what_it_cannot_use(
    sampling: Command, ilvr: Command, references: Path, output: Path, no_sampling: None
) -> None:
    sampling("--perturbed-attention", -1).is_refusal_of("perturbed attention is -1", "0 (off)")
    outcome = ilvr(
        "sample", "--pipeline", "embedded", "--prompt", "frog", "--reference", references,
        "--perturbed-attention", 2, "--factor", 1, "--output", output,
    )  # fmt: skip
    outcome.is_refusal_of("--perturbed-attention is for guided-diffusion checkpoints")
