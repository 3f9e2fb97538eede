"""ILVR Apply on the networks that ComfyUI itself builds."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch

FAMILIES = ("sd15", "sd3", "flux", "lumina2", "wan")


def applied(pack: ModuleType, model: Any, reference: torch.Tensor, weight: float = 1.0) -> Any:
    import graph

    return graph.applied(pack, model, reference, weight=weight, kernel="box")


@pytest.fixture(params=FAMILIES)
def family(host: ModuleType, request: pytest.FixtureRequest) -> tuple[Any, torch.Tensor, Any]:
    """A tiny MODEL, a reference for it, and how to sample it."""
    import mixture
    import tiny

    shape = tiny.FAMILIES[request.param][2]
    reference = mixture.draw(4, (1, shape[1], *shape[-2:]))

    def sample(model: Any, sampler: str = "euler") -> torch.Tensor:
        return mixture.sampled(
            model, sampler, steps=6, shape=shape, cond=tiny.prompt(1, request.param),
            negative=tiny.prompt(2, request.param), cfg=3.0, scheduler="simple",
        )  # fmt: skip

    return tiny.network(request.param), reference, sample


def test_the_reference_is_followed_and_weight_zero_is_no_node(
    pack: ModuleType, family: tuple[Any, torch.Tensor, Any]
) -> None:
    model, reference, sample = family
    plain = sample(model)
    assert torch.isfinite(plain).all()
    assert torch.equal(sample(applied(pack, model, reference, weight=0.0)), plain)
    out, phi = sample(applied(pack, model, reference)), pack.ilvr_latent.LowPass(4, "box")
    wanted = phi(reference) if out.ndim == 4 else phi(reference).unsqueeze(2)
    assert (phi(out) - wanted).abs().max() < 1e-3 * wanted.abs().max()
    assert (out - phi(out)).std() > 0.01
    assert torch.equal(sample(model), plain)


def test_a_lora_before_the_node_stays_in_effect(
    pack: ModuleType, family: tuple[Any, torch.Tensor, Any]
) -> None:
    model, reference, sample = family
    key = next(k for k, v in model.model.state_dict().items() if v.ndim == 2)
    patched = model.clone()
    change = torch.ones_like(model.model.state_dict()[key])
    assert patched.add_patches({key: ("diff", (change,))}, 0.5)
    results = [sample(applied(pack, m, reference)) for m in (model, patched, model)]
    assert not torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("sampler", ["euler_cfg_pp", "dpmpp_2m_cfg_pp"])
def test_cfg_pp_samplers_follow_with_two_prompts(
    pack: ModuleType, family: tuple[Any, torch.Tensor, Any], sampler: str
) -> None:
    model, reference, sample = family
    out, phi = sample(applied(pack, model, reference), sampler), pack.ilvr_latent.LowPass(4, "box")
    wanted = phi(reference) if out.ndim == 4 else phi(reference).unsqueeze(2)
    assert (phi(out) - wanted).abs().max() < 1e-3 * wanted.abs().max()
    assert not torch.equal(out, sample(applied(pack, model, reference), "euler"))
