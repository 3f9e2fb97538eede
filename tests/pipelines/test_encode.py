"""Reference pictures to latents: sizes, precision, and VAEs that are not for pictures."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image

from ilvr_latent import InputError
from ilvr_latent.pipelines import encode_reference
from tests.pipelines.support.tiny import family


@pytest.fixture(scope="module")
def pipe() -> Any:
    return family("sd")[0]


def picture(width: int, height: int) -> Image.Image:
    return Image.radial_gradient("L").resize((width, height)).convert("RGB")


def test_a_picture_is_fitted_to_what_is_generated(pipe: Any) -> None:
    assert encode_reference(pipe, picture(50, 20)).shape == (1, 4, 16, 16)
    latents = [
        encode_reference(pipe, picture(50, 20), size=(24, 40), fit=fit)
        for fit in ("crop", "pad", "stretch")
    ]
    assert all(latent.shape == (1, 4, 12, 20) for latent in latents)
    assert not torch.equal(latents[0], latents[1])
    assert torch.equal(latents[0], encode_reference(pipe, picture(50, 20), size=(24, 40)))


def test_a_tensor_keeps_its_size_and_a_batch_is_one(pipe: Any) -> None:
    assert encode_reference(pipe, torch.zeros(3, 3, 24, 16)).shape == (3, 4, 12, 8)
    assert encode_reference(pipe, torch.zeros(1, 3, 20, 20), size=(32, 32)).shape[-1] == 16


@pytest.mark.parametrize(
    ("image", "size", "words"),
    [
        (picture(32, 32), (33, 32), "multiples of 2 pixels; use 32 x 32"),
        (torch.zeros(3, 32, 32), None, "of shape"),
        (torch.zeros(1, 4, 32, 32), None, "of shape"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), None, "torch.uint8"),
    ],
)
def test_what_it_refuses(pipe: Any, image: Any, size: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        encode_reference(pipe, image, size=size)


def test_a_pipeline_without_picture_latents() -> None:
    with pytest.raises(InputError, match="has no VAE"):
        encode_reference(SimpleNamespace(), picture(32, 32))
    sound = SimpleNamespace(vae=SimpleNamespace(config={"audio_channels": 2}))
    with pytest.raises(InputError, match="not for pictures"):
        encode_reference(sound, picture(32, 32))


def test_overflow_in_half_precision_is_encoded_in_fp32(
    pipe: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pipe.vae.register_to_config(force_upcast=False)
    wanted = encode_reference(pipe, picture(32, 32))
    vae, encode = pipe.vae, pipe.vae.encode
    vae.to(torch.float16)

    def overflowing(x: torch.Tensor) -> Any:
        encoded = encode(x)
        if x.dtype == torch.float16:
            encoded.latent_dist.mean.fill_(float("nan"))
        return encoded

    vae.encode = overflowing
    try:
        with caplog.at_level(logging.WARNING):
            found = encode_reference(pipe, picture(32, 32))
        assert vae.dtype == torch.float16
    finally:
        del vae.encode
        vae.to(torch.float32)
    assert "overflows in torch.float16; encoding the reference in fp32" in caplog.text
    assert (found - wanted).abs().max() < 2e-2


def test_flux_2_patches_and_normalises_as_the_pipeline_does() -> None:
    if not hasattr(diffusers, "Flux2Pipeline"):
        pytest.skip("this diffusers has no Flux 2")
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    from ilvr_latent.pipelines.encode import _batch_normalised

    bn = torch.nn.BatchNorm2d(16, affine=False)
    bn.running_mean, bn.running_var = torch.linspace(-1, 1, 16), torch.linspace(0.5, 2, 16)
    vae = SimpleNamespace(bn=bn, config=SimpleNamespace(batch_norm_eps=1e-4))
    patched = diffusers.Flux2Pipeline._patchify_latents(latent)
    wanted = (patched - bn.running_mean.view(1, -1, 1, 1)) / (
        bn.running_var.view(1, -1, 1, 1) + 1e-4
    ).sqrt()
    assert torch.allclose(_batch_normalised(vae, latent), wanted, atol=1e-6)
