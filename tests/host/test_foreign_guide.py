"""A guide that is not ours, in the host's samplers and chained with ILVR."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

PLACE = Path(__file__).parent.parent / "example_guide.py"


@pytest.fixture
def mean_colour(pack: ModuleType) -> Any:
    spec = importlib.util.spec_from_file_location("example_guide", PLACE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.example_guide(pack.ilvr_latent)


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "uni_pc"])
def test_it_runs_alone_and_after_ilvr(
    pack: ModuleType, mean_colour: Any, form: str, sampler: str
) -> None:
    import graph
    import mixture

    model, guided = mixture.mixture(form), pack.nodes.driver.guided
    colour, layout = mixture.draw(5) / 0.8, mixture.draw(4) / 0.8
    out = mixture.sampled(guided(model, mean_colour(colour)), sampler)
    torch.testing.assert_close(
        out.mean((-2, -1)), colour.mean((-2, -1)), atol=0.1 if form == "flow" else 0.05, rtol=0
    )
    plain = mixture.sampled(model, sampler)
    assert (plain - colour).mean((-2, -1)).abs().max() > 0.1
    matched = graph.applied(pack, model, layout, kernel="box")
    both = mixture.sampled(guided(matched, mean_colour(colour)), sampler)
    phi = pack.ilvr_latent.LowPass(4, "box")
    torch.testing.assert_close(phi(both), phi(layout), atol=1e-2, rtol=0)
    assert not torch.equal(both, mixture.sampled(matched, sampler))


def test_a_gradient_through_the_network_works_in_inference_mode(pack: ModuleType) -> None:
    """Towards the mean of a picture by the slope of a distance, network and all."""
    import mixture
    import tiny

    core = pack.ilvr_latent
    gradient = core.diffusion.gradient

    class Pulled(core.GuideRun):  # type: ignore[misc, name-defined]
        def denoise(self, denoiser: Any, x_t: Tensor, step: Any) -> Tensor:
            slope = gradient(lambda x: denoiser(x).flatten(1).square().sum(1), x_t)
            assert torch.isfinite(slope).all() and slope.abs().sum() > 0
            return denoiser(x_t) - 0.1 * slope

    class Guide:
        def begin(self, run: Any) -> Any:
            return Pulled()

    for model, latent in (
        (mixture.mixture("eps"), torch.zeros(mixture.SHAPE)),
        (tiny.network("sd15"), torch.zeros(tiny.FAMILIES["sd15"][2])),
    ):
        assert torch.is_inference_mode_enabled()
        outs = [_euler(m, latent) for m in (model, pack.nodes.driver.guided(model, Guide()))]
        assert torch.isfinite(outs[1]).all()
        assert not torch.equal(outs[0], outs[1])
        assert torch.equal(_euler(model, latent), outs[0])


def _euler(model: Any, latent: Tensor) -> Tensor:
    import comfy.sample
    import tiny

    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(0))
    prompt = tiny.prompt(1)
    return comfy.sample.sample(
        model, noise, 3, 1.0, "euler", "normal", prompt, prompt, latent, disable_pbar=True, seed=0
    )


def test_what_the_host_lacks_is_refused_before_sampling(pack: ModuleType) -> None:
    import mixture

    core = pack.ilvr_latent

    class Repeating(core.GuideRun):  # type: ignore[misc, name-defined]
        def repeats(self, step: Any) -> int:
            return 2

    class Guide:
        def begin(self, run: Any) -> Any:
            return Repeating()

    model = mixture.mixture("eps")
    with pytest.raises(core.InputError, match="repeats"):
        mixture.sampled(pack.nodes.driver.guided(model, Guide()), "euler")
    assert not model.model.calls


def test_universal_guidance_is_repeated_by_ilvr_resample(pack: ModuleType) -> None:
    """Jumps of one step stand in for the recurrence that a stock sampler cannot offer."""
    import comfy.samplers
    import mixture
    from comfy_extras import nodes_custom_sampler as custom

    core, target = pack.ilvr_latent, mixture.draw(5)

    def loss(x_0: Tensor) -> Tensor:
        return (x_0 - target.clone()).square().flatten(1).mean(1)

    euler = comfy.samplers.sampler_object("euler")
    resample = pack.nodes.guides.resample.ILVRResample.execute(euler, 1, 3)[0]
    model = mixture.mixture("eps")
    guided = pack.nodes.driver.guided(model, core.guides.UniversalGuidance(loss, weight=20.0))
    sampling = model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", 8)

    def apart(patcher: Any, sampler: Any) -> float:
        guider = custom.BasicGuider()
        run = getattr(guider, "execute", None) or guider.get_guider
        latent = {"samples": torch.zeros(mixture.SHAPE)}
        node = custom.SamplerCustomAdvanced()
        execute = getattr(node, "execute", None) or node.sample
        noise = custom.Noise_RandomNoise(7)
        out = execute(noise, run(patcher, mixture.conditioning())[0], sampler, sigmas, latent)[0]
        return float(loss(out["samples"] * 0.8))

    model.model.calls.clear()
    repeated = apart(guided, resample)
    assert len(model.model.calls) == 8 + 2 * 7
    assert repeated < apart(model, resample)
    assert apart(guided, euler) < apart(model, euler)
