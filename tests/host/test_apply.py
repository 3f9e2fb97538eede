"""What ILVR Apply promises in a graph: nothing else changes, and errors come before sampling."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor


@pytest.fixture
def mix(host: ModuleType) -> ModuleType:
    import mixture

    return mixture


def applied(pack: ModuleType, model: Any, reference: Tensor, **settings: Any) -> Any:
    settings = {"factor": 4, "start_percent": 0.0, "end_percent": 1.0, "weight": 1.0} | settings
    return pack.nodes.guides.ilvr.ILVRApply.execute(model, {"samples": reference}, **settings)[0]


def residual(pack: ModuleType, out: Tensor, reference: Tensor, where: Any = ...) -> float:
    phi = pack.ilvr_latent.LowPass(4)
    difference = (phi(out) - phi(reference))[where]
    return float(difference.norm() / phi(reference)[where].norm())


def test_same_seed_same_bits_and_the_model_stays_as_it_was(
    pack: ModuleType, mix: ModuleType
) -> None:
    model, reference = mix.mixture("eps"), mix.draw(4)
    kept = reference.clone()
    before = mix.sampled(model, "dpmpp_2m_sde")
    guided = applied(pack, model, reference)
    first, second = (mix.sampled(guided, "dpmpp_2m_sde") for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, before)
    assert not torch.equal(first, mix.sampled(guided, "dpmpp_2m_sde", seed=8))
    assert torch.equal(before, mix.sampled(model, "dpmpp_2m_sde"))
    assert torch.equal(first, mix.sampled(guided.clone(), "dpmpp_2m_sde"))
    assert torch.equal(reference, kept)


def test_a_range_without_a_step_is_no_node(pack: ModuleType, mix: ModuleType) -> None:
    model = mix.mixture("eps")
    outside = applied(pack, model, mix.draw(4), start_percent=0.501, end_percent=0.502)
    assert torch.equal(mix.sampled(outside), mix.sampled(model))


def test_an_interrupted_run_leaves_nothing_behind(pack: ModuleType, mix: ModuleType) -> None:
    class Interrupted(Exception):
        pass

    def stop(step: int, *_: object) -> None:
        if step == 5:
            raise Interrupted

    guided = applied(pack, mix.mixture("eps"), mix.draw(4))
    before = mix.sampled(guided)
    with pytest.raises(Interrupted):
        mix.sampled(guided, callback=stop)
    assert torch.equal(mix.sampled(guided), before)


def test_two_nodes_merge_in_any_order(pack: ModuleType, mix: ModuleType) -> None:
    left = torch.zeros(1, 16, 16)
    left[..., :8] = 1
    a, b = mix.draw(4) / 0.8, mix.draw(5) / 0.8
    nodes = {"left": (a, {"mask": left}), "right": (b, {"mask": 1 - left, "factor": 2})}
    results = []
    for order in (("left", "right"), ("right", "left")):
        model = mix.mixture("flow")
        for name in order:
            reference, settings = nodes[name]
            model = applied(pack, model, reference, **settings)
        results.append(mix.sampled(model))
    assert torch.allclose(*results, atol=1e-5)
    assert residual(pack, results[0], a, (..., slice(0, 5))) < 0.2
    assert residual(pack, results[0], b, (..., slice(11, 16))) < 0.2


def test_a_masked_run_is_held_inside_the_mask_only(pack: ModuleType, mix: ModuleType) -> None:
    mask = torch.zeros(1, 64, 64)
    mask[..., :32] = 1
    reference = mix.draw(4) / 0.8
    out = mix.sampled(applied(pack, mix.mixture("eps"), reference, mask=mask))
    assert residual(pack, out, reference, (..., slice(0, 5))) < 0.25
    assert residual(pack, out, reference, (..., slice(11, 16))) > 0.5


@pytest.mark.parametrize("form", ["eps", "flow"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "ddpm", "uni_pc", "lcm"])
def test_inpainting_keeps_what_the_noise_mask_keeps(
    pack: ModuleType, mix: ModuleType, form: str, sampler: str
) -> None:
    picture, reference = mix.draw(1) / 0.8, mix.draw(4) / 0.8
    noise_mask = torch.zeros(1, 1, 16, 16)
    noise_mask[..., 4:12] = 1
    options = {"latent": picture, "noise_mask": noise_mask, "denoise": 0.8}
    model = mix.mixture(form)
    out = mix.sampled(applied(pack, model, reference), sampler, **options)
    plain = mix.sampled(model, sampler, **options)
    kept = noise_mask.expand_as(out) == 0
    # uni_pc, and ddpm on flow, do not land on the kept picture exactly, with ILVR or without.
    bound = 1e-5 + float((plain - picture)[kept].abs().max()) * 1.05
    assert float((out - picture)[kept].abs().max()) <= bound
    if sampler in ("euler", "dpmpp_2m", "lcm"):
        assert bound < 2e-5
    assert not torch.allclose(out, plain)


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
def test_two_stages_are_one_run(pack: ModuleType, mix: ModuleType, form: str) -> None:
    """KSamplerAdvanced: the second stage adds no noise and goes on from the first."""
    reference = mix.draw(4) / 0.8
    guided = applied(pack, mix.mixture(form), reference)
    half = mix.sampled(guided, start_step=0, last_step=10)
    import comfy.sample

    out = comfy.sample.sample(
        guided, torch.zeros_like(half), 20, 1.0, "euler", "normal", mix.conditioning(),
        mix.conditioning(), half, start_step=10, force_full_denoise=True, disable_noise=True,
        seed=7, disable_pbar=True,
    )  # fmt: skip
    assert torch.isfinite(out).all()
    assert residual(pack, out, reference) < 0.06


def test_any_size_batch_and_rank_of_reference(pack: ModuleType, mix: ModuleType) -> None:
    large = torch.nn.functional.interpolate(mix.draw(4) / 0.8, scale_factor=3, mode="bicubic")
    out = mix.sampled(applied(pack, mix.mixture("eps"), large))
    assert residual(pack, out, mix.draw(4) / 0.8) < 0.15

    pair = torch.cat([mix.draw(4), mix.draw(5)]) / 0.8
    out = mix.sampled(applied(pack, mix.mixture("eps"), pair), shape=(4, 4, 16, 16))
    assert residual(pack, out, pair.repeat(2, 1, 1, 1)) < 0.06

    video = (1, 4, 3, 16, 16)
    one_frame = mix.draw(4) / 0.8
    out = mix.sampled(applied(pack, mix.mixture("flow", video), one_frame), shape=video)
    assert residual(pack, out, one_frame.unsqueeze(2).expand(video)) < 0.06


def test_cfg_and_other_wrappers_stay_in_the_chain(pack: ModuleType, mix: ModuleType) -> None:
    import comfy.patcher_extension

    calls = []

    def other(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        calls.append(type(executor.class_obj).__name__)
        return executor(*args, **kwargs)

    model = mix.mixture("eps")
    key = comfy.patcher_extension.WrappersMP.SAMPLER_SAMPLE
    model.add_wrapper_with_key(key, "other", other)
    guided = applied(pack, model, mix.draw(4) / 0.8)
    guided.add_wrapper_with_key(key, "another", other)
    out = mix.sampled(guided, "euler_cfg_pp", cfg=4.0)
    assert calls == ["KSAMPLER", "KSAMPLER"]
    assert residual(pack, out, mix.draw(4) / 0.8) < 0.06


def test_a_call_reads_one_number_from_the_device(pack: ModuleType, mix: ModuleType) -> None:
    """And no run makes a difference to the next: what is fixed per run does not grow."""

    from reads import Reads

    def reads(model: Any, steps: int) -> int:
        with Reads() as mode:
            mix.sampled(model, "euler", steps=steps)
        return mode.count

    model = mix.mixture("eps")
    guided = applied(pack, model, mix.draw(4), noise="fresh")
    plain = {steps: reads(model, steps) for steps in (5, 25)}
    extra = {steps: reads(guided, steps) - plain[steps] for steps in (5, 25)}
    # The mixture reads its timestep too, so the counter is known to count.
    assert plain[25] - plain[5] >= 20
    assert (extra[25] - extra[5]) / 20 == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reference": torch.zeros(1, 16, 16, 16)}, "has 16 channels, .* samples 4"),
        ({"reference": torch.full((1, 4, 16, 16), torch.nan)}, "NaN"),
        ({"reference": torch.zeros(1, 4, 16)}, "not the latent of a picture"),
        ({"mask": torch.zeros(1, 16, 16)}, "black everywhere"),
        ({"start_percent": 0.5, "end_percent": 0.5}, "start_percent is 0.5"),
        ({"factor": 0.5}, "factor N is 0.5"),
        ({"weight": 2.0}, "weight is 2"),
    ],
)
def test_bad_input_is_one_sentence(
    pack: ModuleType, mix: ModuleType, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(pack.ilvr_latent.InputError, match=said):
        applied(pack, mix.mixture("eps"), change.pop("reference", mix.draw(4)), **change)


def test_an_empty_latent_is_refused_in_one_sentence(pack: ModuleType, mix: ModuleType) -> None:
    apply = pack.nodes.guides.ilvr.ILVRApply
    with pytest.raises(pack.ilvr_latent.InputError, match="The reference is an empty latent"):
        apply.execute(mix.mixture("eps"), {}, 4.0, 0.0, 1.0, 1.0)


def test_audio_models_are_refused(pack: ModuleType, mix: ModuleType) -> None:
    import comfy.latent_formats

    audio = SimpleNamespace(get_model_object=lambda _: comfy.latent_formats.StableAudio1())
    with pytest.raises(pack.ilvr_latent.InputError, match="does not sample pictures"):
        applied(pack, audio, mix.draw(4))
