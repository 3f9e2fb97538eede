"""ILVR in the pipelines that diffusers itself builds, tiny and with random weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import LowPass, Reference, Window
from ilvr_latent.pipelines import ILVRCallback, default_size, encode_reference
from tests.pipelines.support.tiny import FAMILIES, family

Made = tuple[Any, dict[str, Any], tuple[int, int]]
PHI = LowPass(4, "box")


@pytest.fixture(params=FAMILIES)
def made(request: pytest.FixtureRequest) -> Made:
    pipe, options = family(request.param)
    size = (32, 32) if "height" not in options else (options["height"], options["width"])
    return pipe, options | {"height": size[0], "width": size[1]}, size


def sampled(pipe: Any, options: dict[str, Any], **more: Any) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    out = pipe(**options, num_inference_steps=4, generator=generator, output_type="latent", **more)
    found: Tensor = out[0]
    return found


def a_reference(pipe: Any, size: tuple[int, int], **settings: Any) -> Reference:
    generator = torch.Generator().manual_seed(3)
    picture = torch.nn.functional.interpolate(
        torch.rand(1, 3, 4, 4, generator=generator) * 2 - 1, size, mode="bicubic"
    ).clamp(-1, 1)
    return Reference(encode_reference(pipe, picture), 4, kernel="box", **settings)


def pictures(latents: Tensor, reference: Tensor) -> Tensor:
    """The pipeline's latents as (pictures, C, H, W), by the pipeline's own conventions."""
    if latents.ndim == 5:
        return latents.transpose(1, 2).flatten(0, 1)
    if latents.ndim == 3:
        from diffusers import FluxPipeline

        return FluxPipeline._unpack_latents(  # type: ignore[no-any-return]
            latents, reference.shape[-2], reference.shape[-1], 1
        )
    return latents


def test_the_reference_is_followed_and_weight_zero_is_the_pipeline_alone(made: Made) -> None:
    pipe, options, size = made
    has_callback = "PixArt" not in type(pipe).__name__
    reference = a_reference(pipe, size)
    plain = sampled(pipe, options)
    assert torch.isfinite(plain).all()
    callback = ILVRCallback(pipe, reference)
    with callback:
        out = sampled(pipe, options)
    if has_callback:
        assert torch.equal(sampled(pipe, options, callback_on_step_end=callback), out)
    wanted = PHI(reference.image)
    seen = pictures(out, reference.image)
    assert (PHI(seen) - wanted).abs().max() < 1e-3 * wanted.abs().max()
    assert (seen - PHI(seen)).std() > 0.01
    with ILVRCallback(pipe, a_reference(pipe, size, weight=0.0)):
        assert torch.equal(sampled(pipe, options), plain)
    with ILVRCallback(pipe, reference, space="prediction"):
        seen = pictures(sampled(pipe, options), reference.image)
    away = [(PHI(pictures(x, reference.image)) - wanted).norm() for x in (seen, plain)]
    assert away[0] < 0.3 * away[1]


def test_the_latent_is_the_one_that_the_pipeline_decodes(made: Made) -> None:
    """Encoding what the pipeline makes of a latent is the VAE's own round trip."""
    pipe, _, size = made
    reference = encode_reference(pipe, torch.zeros(1, 3, *size))
    vae = pipe.vae
    mean = getattr(vae.config, "latents_mean", None)
    if mean is not None:
        std, mean = (torch.tensor(v).view(1, -1, 1, 1) for v in (vae.config.latents_std, mean))
        raw = reference * std + mean
    else:
        shift = 0.0 if hasattr(pipe, "unet") else vae.config.get("shift_factor") or 0.0
        raw = reference / vae.config.scaling_factor + shift
    pixels = torch.zeros(1, 3, *size)
    encoded = vae.encode(pixels[:, :, None] if mean is not None else pixels)
    own = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    assert torch.allclose(raw, own.reshape(raw.shape), atol=1e-5)


def test_two_references_for_a_batch_and_another_size(made: Made) -> None:
    pipe, options, size = made
    if "num_frames" in options or "PixArt" in type(pipe).__name__:
        pytest.skip("one picture at a time here")
    options = options | {"width": 48}
    both = torch.cat(
        [a_reference(pipe, (size[0], 48)).image, -a_reference(pipe, (size[0], 48)).image]
    )
    callback = ILVRCallback(pipe, Reference(both, 4, kernel="box"), seed=[5, 6])
    more = {"num_images_per_prompt": 2}
    if "3" in type(pipe).__name__:  # it repeats none of the embeddings that it is given
        options = {k: torch.cat([v, v]) if "embeds" in k else v for k, v in options.items()}
        more = {}
    out = pictures(sampled(pipe, options, **more, callback_on_step_end=callback), both)
    assert (PHI(out) - PHI(both)).abs().max() < 1e-3 * both.abs().max()


def test_the_default_size_is_what_the_pipeline_makes() -> None:
    pipe, _ = family("sd")
    assert default_size(pipe) == (32, 32)
    assert default_size(family("wan")[0]) == (480, 832)


def test_image_to_image_starts_late_and_windows_count_from_pure_noise() -> None:
    from diffusers import StableDiffusionImg2ImgPipeline

    text_pipe, options = family("sd")
    pipe = StableDiffusionImg2ImgPipeline(**text_pipe.components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    options = options | {"image": picture, "strength": 0.5}
    reference = a_reference(pipe, (32, 32))
    early = Reference(reference.image, 4, window=Window(0, 0.4))
    out = sampled(pipe, options, callback_on_step_end=ILVRCallback(pipe, reference))
    wanted = PHI(reference.image)
    assert (PHI(out) - wanted).abs().max() < 1e-3 * wanted.abs().max()
    with pytest.raises(ValueError, match="holds none of the 2 steps"):
        sampled(pipe, options, callback_on_step_end=ILVRCallback(pipe, early))


def test_one_video_at_a_time_is_a_clip() -> None:
    """Its frames are pictures here, and a reference with a T goes along them."""
    pipe, options = family("wan")
    reference = a_reference(pipe, (64, 64))
    slow = dataclasses.replace(reference, kernel="spectral", frames_factor=2.0)
    with ILVRCallback(pipe, slow):
        out = pictures(sampled(pipe, options), reference.image)
    assert len(out) > 1
    phi = LowPass(4, "spectral", 2, -4)
    wanted = phi(reference.image.expand(out.shape))
    assert (phi(out) - wanted).abs().max() < 1e-3 * wanted.abs().max()
    assert (out - phi(out)).std() > 0.01
    # Frames of several videos stand beside one another.
    options = {k: torch.cat([v, v]) if "embeds" in k else v for k, v in options.items()}
    with pytest.raises(ValueError, match="or several videos"), ILVRCallback(pipe, slow):
        sampled(pipe, options)
