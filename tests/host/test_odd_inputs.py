"""Sizes, batches, masks and seeds as users bring them, against the exact denoiser."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

SCALE = 0.8  # of the mixture's latent format
VIDEO = (1, 4, 4, 16, 16)


@pytest.fixture
def mix(host: ModuleType) -> ModuleType:
    import mixture

    return mixture


def guided(pack: ModuleType, model: Any, reference: Tensor, **settings: Any) -> Any:
    import graph

    return graph.applied(pack, model, reference, **{"kernel": "box"} | settings)


def distance(pack: ModuleType, out: Tensor, reference: Tensor, where: Any = ...) -> float:
    import graph

    return graph.residual(pack, out, reference, where)


@pytest.mark.parametrize("size", [(15, 17), (9, 31), (5, 64), (1, 7), (3, 3)])
@pytest.mark.parametrize("form", ["eps", "flow"])
def test_any_size_of_latent(
    pack: ModuleType, mix: ModuleType, form: str, size: tuple[int, int]
) -> None:
    shape = (1, 4, *size)
    model, reference = mix.mixture(form, shape), mix.draw(4, shape) / SCALE
    out = mix.sampled(guided(pack, model, reference), shape=shape)
    assert distance(pack, out, reference) < 1e-3
    everything = guided(pack, model, reference, factor=256, kernel="cubic")
    mean = mix.sampled(everything, shape=shape).mean((-1, -2))
    assert torch.allclose(mean, reference.mean((-1, -2)), atol=1e-4)


def test_references_are_dealt_to_the_batch_in_turn(pack: ModuleType, mix: ModuleType) -> None:
    """ComfyUI's rule: two for three are the first, the second, the first; what is over is cut."""
    shape = (3, 4, 16, 16)
    references = torch.cat([mix.draw(seed) for seed in (3, 4, 5, 6)]) / SCALE
    for given in (2, 4):
        out = mix.sampled(guided(pack, mix.mixture("eps"), references[:given]), shape=shape)
        for i, picture in enumerate(out):
            wanted = references[i % given]
            assert distance(pack, picture, wanted) < 1e-3
    assert distance(pack, out[0], references[1]) > 0.5


def test_masks_of_any_shape(pack: ModuleType, mix: ModuleType) -> None:
    """A flat one, one that is not square, and two for a batch of three."""
    shape = (3, 4, 16, 16)
    model, reference = mix.mixture("eps"), mix.draw(4) / SCALE
    # Apart from the edge, which is soft. What is free may still be drawn after the other half.
    left, right = (..., slice(0, 4)), (..., slice(12, 16))
    mask = torch.zeros(2, 40, 90)
    mask[0, :, :45] = 1
    mask[1, :, 45:] = 1
    flat = mix.sampled(guided(pack, model, reference, mask=mask[0]), shape=shape)
    pair = mix.sampled(guided(pack, model, reference, mask=mask), shape=shape)
    assert torch.allclose(flat[[0, 2]], pair[[0, 2]], atol=1e-5)
    for picture, inside, outside in ((0, left, right), (1, right, left), (2, left, right)):
        assert distance(pack, pair[picture], reference[0], inside) < 0.01
        assert distance(pack, pair[picture], reference[0], outside) > 0.1


def test_a_mask_for_each_frame_of_a_video(pack: ModuleType, mix: ModuleType) -> None:
    """As ComfyUI reads a batch of masks for a video: frames, stretched over its time."""
    model, reference = mix.mixture("flow", VIDEO), mix.draw(4) / SCALE
    wanted = reference.unsqueeze(2).expand(VIDEO)
    masks = torch.zeros(2, 16, 16)
    masks[1] = 1
    for mask in (masks, masks.repeat_interleave(2, 0), masks.repeat_interleave(8, 0)):
        out = mix.sampled(guided(pack, model, reference, mask=mask), shape=VIDEO)
        far, near = (distance(pack, out[:, :, i], wanted[:, :, i]) for i in (0, 3))
        assert near < 1e-3
        assert far > 0.1
    one = mix.sampled(guided(pack, model, reference, mask=torch.ones(1, 30, 20)), shape=VIDEO)
    assert distance(pack, one, wanted) < 1e-3


def test_frames_of_a_reference_are_those_of_the_video(pack: ModuleType, mix: ModuleType) -> None:
    model = mix.mixture("flow", VIDEO)
    frames = torch.stack([mix.draw(seed)[0] for seed in (3, 4, 5, 6)], 1)[None] / SCALE
    out = mix.sampled(guided(pack, model, frames), shape=VIDEO)
    assert distance(pack, out, frames) < 1e-3
    # One frame of a video for a picture.
    picture = mix.sampled(guided(pack, mix.mixture("flow"), frames[:, :, 1:2]))
    assert distance(pack, picture, frames[:, :, 1]) < 1e-3


def test_what_else_a_latent_carries_is_not_the_references_business(
    pack: ModuleType, mix: ModuleType
) -> None:
    import graph

    model, reference = mix.mixture("eps"), mix.draw(4) / SCALE
    extra = {"noise_mask": torch.zeros(1, 64, 64), "batch_index": [3]}
    loaded = graph.applied(pack, model, reference, kernel="box", latent=extra)
    assert torch.equal(mix.sampled(loaded), mix.sampled(guided(pack, model, reference)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_references_in_half_precision(
    pack: ModuleType, mix: ModuleType, dtype: torch.dtype
) -> None:
    """Of another size too, which CPUs cannot resize in half precision."""
    reference = mix.draw(4).to(dtype) / SCALE
    for given in (reference, reference.repeat_interleave(3, -1)):
        out = mix.sampled(guided(pack, mix.mixture("eps"), given))
        assert distance(pack, out, reference.float()) < (1e-3 if given is reference else 0.1)


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
@pytest.mark.parametrize("denoise", [0.5, 0.05])
def test_img2img(pack: ModuleType, mix: ModuleType, form: str, denoise: float) -> None:
    picture, reference = mix.draw(1) / SCALE, mix.draw(4) / SCALE
    kept, model = picture.clone(), mix.mixture(form)
    options = {"latent": picture, "denoise": denoise}
    plain = mix.sampled(model, **options)
    assert torch.equal(mix.sampled(guided(pack, model, reference, weight=0.0), **options), plain)
    # The noise that is left is beyond this range.
    early = guided(pack, model, reference, end_percent=0.1)
    assert torch.equal(mix.sampled(early, **options), plain)
    out = mix.sampled(guided(pack, model, reference), **options)
    assert distance(pack, out, reference) < 1e-3
    assert torch.equal(picture, kept)


def test_differential_diffusion_keeps_what_it_should(pack: ModuleType, mix: ModuleType) -> None:
    """Its noise mask is another one at each step, and nothing is masked in the last."""
    from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion

    picture, reference = mix.draw(1) / SCALE, mix.draw(4) / SCALE
    node = DifferentialDiffusion()
    patch = getattr(node, "apply", None) or node.execute
    model = patch(mix.mixture("eps"))[0]
    noise_mask = torch.linspace(-0.5, 1, 16).clamp(min=0).expand(1, 1, 16, 16)
    plain, out = (
        mix.sampled(m, latent=picture, noise_mask=noise_mask)
        for m in (model, guided(pack, model, reference))
    )
    kept = noise_mask.expand_as(out) == 0
    assert torch.allclose(out[kept], plain[kept], atol=1e-5)
    assert not torch.allclose(out, plain, atol=0.1)
    assert distance(pack, out, reference, (..., slice(12, 16))) < 0.3


@pytest.mark.parametrize("seed", [0, 2**63, 2**64 - 1])
@pytest.mark.parametrize("noise", ["hybrid", "fresh", "fixed"])
def test_every_seed_of_the_front_end(
    pack: ModuleType, mix: ModuleType, seed: int, noise: str
) -> None:
    reference = mix.draw(4) / SCALE
    model = guided(pack, mix.mixture("eps"), reference, noise=noise)
    out, again, other = (mix.sampled(model, seed=s) for s in (seed, seed, seed - (seed > 0) or 1))
    assert torch.equal(out, again)
    assert distance(pack, out, reference) < 1e-3
    assert not torch.allclose(out, other, atol=0.1)


@pytest.mark.parametrize("form", ["eps", "flow"])
def test_a_sampler_that_changes_the_size_is_given_the_reference_at_each(
    pack: ModuleType, mix: ModuleType, form: str
) -> None:
    import comfy.sample
    import comfy.samplers
    from comfy_extras.nodes_advanced_samplers import SamplerLCMUpscale

    model = mix.mixture(form)
    original = model.model._apply_model

    def at_any_size(x: Tensor, t: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        model.model.means = mix.means((1, 4, *x.shape[-2:]))
        return original(x, t, *args, **kwargs)

    model.model._apply_model = at_any_size
    made = SamplerLCMUpscale.execute(2.0, -1, "bicubic")
    sigmas = comfy.samplers.calculate_sigmas(model.model.model_sampling, "simple", 6)
    noise, latent = torch.randn(mix.SHAPE), torch.zeros(mix.SHAPE)
    reference, cond = mix.draw(4, (1, 4, 32, 32)) / SCALE, mix.conditioning()
    out = comfy.sample.sample_custom(
        guided(pack, model, reference), noise, 1.0, made[0], sigmas, cond, cond, latent,
        disable_pbar=True, seed=7,
    )  # fmt: skip
    assert out.shape == reference.shape
    assert distance(pack, out, reference) < 1e-3


@pytest.mark.parametrize("sigmas", [[0.1, 1.0, 5.0, 14.0], [14.0]])
def test_what_is_no_way_to_a_picture_is_left_alone(
    pack: ModuleType, mix: ModuleType, sigmas: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Unsampling, and SIGMAS without a step."""
    import comfy.sample
    import comfy.samplers

    model = mix.mixture("eps")
    latent, cond = mix.draw(3), mix.conditioning()
    caplog.set_level("INFO")
    outs = [
        comfy.sample.sample_custom(
            one,
            torch.zeros(mix.SHAPE),
            1.0,
            comfy.samplers.sampler_object("euler"),
            torch.tensor(sigmas),
            *(cond, cond, latent),
            disable_pbar=True,
            seed=7,
        )
        for one in (model, guided(pack, model, mix.draw(4)))
    ]
    assert torch.equal(*outs)
    assert "Does nothing: these SIGMAS" in caplog.text
