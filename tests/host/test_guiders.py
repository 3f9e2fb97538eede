"""SamplerCustomAdvanced: every guider, schedules that people make, samplers of other packs."""

from __future__ import annotations

import copy
import itertools
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

SCALE = 0.8  # of the mixture's latent format


@pytest.fixture
def reference(host: ModuleType) -> Tensor:
    import mixture

    return mixture.draw(4) / SCALE


def schedule(model: Any, steps: int = 20) -> Tensor:
    import comfy.samplers

    sampling = model.get_model_object("model_sampling")
    return comfy.samplers.calculate_sigmas(sampling, "normal", steps)


def sampled(
    guider: Any, sigmas: Tensor, sampler: Any = "euler", noise: Any = None, **latent: Tensor
) -> Tensor:
    """The node SamplerCustomAdvanced, and that it changes none of its inputs."""
    import comfy.samplers
    import mixture
    from comfy_extras import nodes_custom_sampler as custom

    sampler = comfy.samplers.sampler_object(sampler) if isinstance(sampler, str) else sampler
    latent = {"samples": torch.zeros(mixture.SHAPE)} | latent
    kept = copy.deepcopy(latent), sigmas.clone(), copy.copy(sampler.__dict__)
    node = custom.SamplerCustomAdvanced()
    execute = getattr(node, "execute", None) or node.sample
    noise = noise or custom.Noise_RandomNoise(7)
    out = execute(noise, guider, sampler, sigmas, latent)[0]["samples"]
    assert all(torch.equal(latent[name], kept[0][name]) for name in latent)
    assert torch.equal(sigmas, kept[1])
    assert sampler.__dict__ == kept[2]
    return out


def guider(kind: str, model: Any) -> Any:
    """One of ComfyUI's, with prompts that differ."""
    import tiny
    from comfy_extras import nodes_custom_sampler as custom

    one, two, three = (tiny.prompt(seed) for seed in (1, 2, 3))
    return {
        "basic": lambda: custom.BasicGuider().get_guider(model, one),
        "cfg": lambda: custom.CFGGuider().get_guider(model, one, two, 3.0),
        "dual": lambda: custom.DualCFGGuider().get_guider(
            model, one, two, three, 3.0, 2.0, "regular"
        ),
        "nested": lambda: custom.DualCFGGuider().get_guider(
            model, one, two, three, 3.0, 2.0, "nested"
        ),
    }[kind]()[0]


@pytest.mark.parametrize("kind", ["basic", "cfg", "dual", "nested"])
def test_every_guider_follows(pack: ModuleType, reference: Tensor, kind: str) -> None:
    """On a UNet, so that the guiders differ."""
    import graph
    import tiny

    model = tiny.network("sd15")
    sigmas = schedule(model, 4)
    guided = graph.applied(pack, model, reference, kernel="box")
    off = graph.applied(pack, model, reference, weight=0.0)
    plain, out, zero = (sampled(guider(kind, m), sigmas) for m in (model, guided, off))
    assert torch.equal(zero, plain)
    assert graph.residual(pack, plain, reference) > 0.3
    assert graph.residual(pack, out, reference) < 1e-3
    if kind != "basic":
        assert not torch.allclose(out, sampled(guider("basic", guided), sigmas), atol=1e-2)


def basic(model: Any) -> Any:
    return guider("basic", model)


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "uni_pc"])
def test_a_schedule_that_is_cut_goes_on_where_it_stopped(
    pack: ModuleType, reference: Tensor, form: str, sampler: str, caplog: pytest.LogCaptureFixture
) -> None:
    """SplitSigmas: the first part ends with noise, which stays; the whole is what one run gives."""
    import graph
    import mixture
    from comfy_extras import nodes_custom_sampler as custom

    model = mixture.mixture(form)
    guided = graph.applied(pack, model, reference, kernel="box")
    sigmas = schedule(model)
    with caplog.at_level("INFO"):
        half = sampled(basic(guided), sigmas[:11], sampler)
    assert "steps 1 to 10 of 10." in caplog.text
    assert torch.isfinite(half).all()
    nothing = custom.Noise_EmptyNoise()
    out = sampled(basic(guided), sigmas[10:], sampler, noise=nothing, samples=half)
    assert graph.residual(pack, out, reference) < 1e-3
    level = float(sigmas[10])
    noise = (half * SCALE - reference * SCALE).std()
    assert noise > 0.3 * level


@pytest.mark.parametrize("form", ["eps", "flow"])
@pytest.mark.parametrize("flipped", [False, True])
def test_strange_schedules(pack: ModuleType, reference: Tensor, form: str, flipped: bool) -> None:
    """One step: finite, 0 is exact. The ascending one of FlipSigmas, the way to noise: no match."""
    import graph
    import mixture
    from comfy_extras import nodes_custom_sampler as custom

    model = mixture.mixture(form)
    sigmas = schedule(model, 8)
    if flipped:
        node = custom.FlipSigmas()
        # Without the last: nothing of the picture would be left, and the host divides by that.
        sigmas = (getattr(node, "execute", None) or node.get_sigmas)(sigmas)[0][:-1]
    else:
        sigmas = sigmas[[0, -1]]
    latent = mixture.draw(1) / SCALE
    settings = ({}, {"weight": 0.0}, {"space": "prediction"})
    models = (graph.applied(pack, model, reference, **s) for s in settings)
    on, off, prediction = (sampled(basic(m), sigmas, samples=latent) for m in models)
    assert torch.equal(off, sampled(basic(model), sigmas, samples=latent))
    for out in (on, prediction):
        assert torch.isfinite(out).all()
        assert torch.equal(out, off) == flipped


def test_samplers_of_other_packs_are_served_at_the_guider(
    pack: ModuleType, reference: Tensor
) -> None:
    """One that is no k-diffusion function, and starts from the tensors that it was given."""
    import comfy.samplers
    import graph
    import mixture

    class OtherEuler(comfy.samplers.Sampler):
        def sample(self, model_wrap, sigmas, extra_args, callback, noise, *_: object) -> Tensor:
            x = noise
            for now, then in itertools.pairwise(sigmas):
                x_0 = model_wrap(x, now * x.new_ones(len(x)), **extra_args)
                x = x + (x - x_0) / now * (then - now)
            return x

    model = mixture.mixture("flow")
    guided = graph.applied(pack, model, reference, end_percent=0.8, kernel="box")
    kept = torch.randn(mixture.SHAPE, generator=torch.Generator().manual_seed(7))

    class Noise:
        seed, tensor = 7, kept.clone()

        def generate_noise(self, _: object) -> Tensor:
            return self.tensor

    plain, out = (sampled(basic(m), schedule(m), OtherEuler(), Noise()) for m in (model, guided))
    assert graph.residual(pack, out, reference) < 0.2
    assert graph.residual(pack, plain, reference) > 1
    assert torch.equal(Noise.tensor, kept)


def test_a_sampler_class_around_a_k_diffusion_function(pack: ModuleType, reference: Tensor) -> None:
    """As packs derive from KSAMPLER to change what goes in; the object is not changed by a run."""
    import comfy.k_diffusion.sampling
    import comfy.samplers
    import graph
    import mixture

    class Counting(comfy.samplers.KSAMPLER):
        runs = 0

        def sample(self, *args: Any, **kwargs: Any) -> Tensor:
            type(self).runs += 1
            return super().sample(*args, **kwargs)

    sampler = Counting(comfy.k_diffusion.sampling.sample_euler)
    model = mixture.mixture("eps")
    guided = graph.applied(pack, model, reference, kernel="box", end_percent=0.8)
    out = sampled(basic(guided), schedule(model), sampler)
    assert Counting.runs == 1
    assert torch.equal(out, sampled(basic(guided), schedule(model), "euler"))
    assert torch.equal(
        sampled(basic(model), schedule(model), sampler), sampled(basic(model), schedule(model))
    )


def test_two_nodes_and_wrappers_of_other_packs_around_them(
    pack: ModuleType, reference: Tensor
) -> None:
    """A wrapper that replaces the sampler, put before, between and after."""
    import comfy.patcher_extension
    import graph
    import mixture

    key = comfy.patcher_extension.WrappersMP.SAMPLER_SAMPLE
    seen = []

    def other(executor: Any, guide: Any, sigmas: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        seen.append(len(sigmas))
        return executor(guide, sigmas, *args, **kwargs)

    left = torch.zeros(1, 16, 16)
    left[..., :8] = 1
    model = mixture.mixture("eps")
    plain = model.clone()
    for i, mask in enumerate((left, 1 - left)):
        model.add_wrapper_with_key(key, f"other {i}", other)
        model = graph.applied(pack, model, reference, mask=mask, kernel="box")
        plain = graph.applied(pack, plain, reference, mask=mask, kernel="box")
    model.add_wrapper_with_key(key, "other 2", other)
    out = sampled(basic(model), schedule(model))
    assert seen == [21, 21, 21]
    assert torch.equal(out, sampled(basic(plain), schedule(plain)))
    assert graph.residual(pack, out, reference) < 1e-3
