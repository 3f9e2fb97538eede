"""CFG++ samplers, which go on from the unconditional prediction, with both spaces."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

# Where both prompts say the same, CFG++ is the sampler without it (not so for dpmpp_2s_ancestral).
ITSELF = ("euler", "euler_ancestral", "dpmpp_2m", "res_multistep", "gradient_estimation")


@pytest.fixture
def mix(host: ModuleType) -> ModuleType:
    import mixture

    return mixture


def applied(pack: ModuleType, model: Any, reference: Tensor, **settings: Any) -> Any:
    apply = pack.nodes.guides.ilvr.ILVRApply
    settings = {"kernel": "box", "end_percent": 1.0} | settings
    end = settings.pop("end_percent")
    return apply.execute(model, {"samples": reference}, 4, 0.0, end, 1.0, **settings)[0]


@pytest.mark.parametrize("form", ["eps", "flow"])
@pytest.mark.parametrize("space", ["state", "prediction"])
@pytest.mark.parametrize("sampler", ITSELF)
def test_with_one_prompt_cfg_pp_is_the_sampler_without_it(
    pack: ModuleType, mix: ModuleType, form: str, space: str, sampler: str
) -> None:
    if form == "flow" and "ancestral" in sampler:
        pytest.skip("the host's ancestral steps of flow models differ from those of CFG++")
    model = applied(pack, mix.mixture(form), mix.draw(4) / 0.8, space=space, end_percent=0.8)
    ours, plain = (mix.sampled(model, name) for name in (f"{sampler}_cfg_pp", sampler))
    assert torch.allclose(ours, plain, atol=2e-3)


@pytest.mark.parametrize("form", ["eps", "flow"])
@pytest.mark.parametrize("cfg", [1.0, 2.0])
def test_with_two_prompts_the_prediction_holds_what_the_state_holds(
    pack: ModuleType, mix: ModuleType, form: str, cfg: float
) -> None:
    phi, reference = pack.ilvr_latent.LowPass(4, "box"), mix.draw(4) / 0.8

    def distance(model: Any) -> float:
        out = mix.sampled(model, "euler_cfg_pp", cfg=cfg, negative=mix.conditioning(1))
        return float((phi(out) - phi(reference)).norm())

    model = mix.mixture(form)
    spaces = {
        s: applied(pack, model, reference, space=s, end_percent=0.8)
        for s in ("state", "prediction")
    }
    assert distance(spaces["prediction"]) < distance(spaces["state"]) < distance(model)
    assert distance(applied(pack, model, reference, space="prediction")) < 1e-4


def test_what_others_look_at_stays_as_the_network_said_it(
    pack: ModuleType, mix: ModuleType
) -> None:
    seen: list[Tensor] = []

    def look(args: dict[str, Any]) -> Tensor:
        seen.append(args["uncond_denoised"].clone())
        return args["denoised"]

    def first_seen(model: Any) -> Tensor:
        model = model.clone()
        model.set_model_sampler_post_cfg_function(look)
        seen.clear()
        mix.sampled(model, "euler_cfg_pp", negative=mix.conditioning(1))
        return seen[0]

    model = mix.mixture("eps")
    guided = applied(pack, model, mix.draw(4) / 0.8, space="prediction")
    assert torch.equal(first_seen(guided), first_seen(model))
