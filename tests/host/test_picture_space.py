"""ILVR Apply in Pictures: the latent decodes to the reference's colours."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

SHAPE = (2, 3, 16, 16)


class Vae:
    """Twice the size, and not linear."""

    def decode(self, latent: Tensor) -> Tensor:
        large = torch.nn.functional.interpolate(torch.tanh(latent), scale_factor=2)
        return large.movedim(1, -1) / 2 + 0.5

    def encode(self, image: Tensor) -> Tensor:
        small = torch.nn.functional.avg_pool2d(image.movedim(-1, 1) * 2 - 1, 2)
        return torch.atanh(small.clamp(-0.99, 0.99))


@pytest.fixture
def apply(pack: ModuleType) -> Any:
    """The node on a model with a right answer, whose latents are decoded to twice the size."""
    import mixture

    node = pack.nodes.guides.picture_space.ILVRApplyInPictures
    usual = {"factor": 0.25, "factor_unit": "share", "weight": 1.0, "times": 1}

    def run(reference: Tensor, form: str = "eps", **given: Any) -> tuple[Any, Any]:
        model = mixture.mixture(form, SHAPE)
        model.model.latent_format.spacial_downscale_ratio = 2
        return model, node.execute(model, Vae(), reference, **{**usual, **given})[0]

    return run


def colours(seed: int = 0, height: int = 32, width: int = 32) -> Tensor:
    """A soft IMAGE."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 4, 4, generator=generator) * 0.6 + 0.2
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return fine.movedim(1, -1)


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral"])
def test_the_decoded_picture_has_the_references_colours(
    pack: ModuleType, apply: Any, form: str, sampler: str
) -> None:
    import mixture

    y, phi = colours(), pack.ilvr_latent.LowPass(8)
    model, held = apply(y, form)

    def apart(one: Any) -> float:
        latent = mixture.sampled(one, sampler, shape=SHAPE)
        shown = Vae().decode(one.get_model_object("latent_format").process_out(latent))
        return float(phi((shown - y).movedim(-1, 1)).square().mean().sqrt())

    assert apart(held) < apart(model) / 5


def test_without_weight_the_picture_is_the_same(apply: Any) -> None:
    import mixture

    model, off = apply(colours(), weight=0.0)
    plain = mixture.sampled(model, "euler", shape=SHAPE)
    assert torch.equal(mixture.sampled(off, "euler", shape=SHAPE), plain)


def test_a_mask_and_a_reference_of_another_size(apply: Any) -> None:
    import mixture

    mask = torch.zeros(1, 64, 64)
    mask[:, :, :32] = 1
    model, held = apply(colours(0, 90, 60), mask=mask)
    plain = mixture.sampled(model, "euler", shape=SHAPE)
    made = mixture.sampled(held, "euler", shape=SHAPE)
    change = (made - plain).abs().amax((0, 1, 2))
    assert change[:7].min() > 1e-3
    assert change[9:].max() < 1e-4


def test_what_cannot_be_used_is_refused(pack: ModuleType, apply: Any) -> None:
    error = pack.ilvr_latent.InputError
    for given, said in (
        ({"factor": 2.0}, "2 of the side"),
        ({"times": 0}, "times is 0"),
        ({"mask": torch.zeros(1, 8, 8)}, "black everywhere"),
        ({"factor_unit": "cells"}, "'cells'"),
    ):
        with pytest.raises(error, match=said):
            apply(colours(), **given)
    with pytest.raises(error, match="no pixels"):
        apply(colours()[:0])


def test_with_a_real_vae_it_encodes_what_it_decodes(pack: ModuleType) -> None:
    model, _, vae = pack.nodes.models.demo.ILVRLoadDemo.execute("text to image (latent)").args
    networks = pack.nodes.guides.networks
    decode, encode = networks.Decoder(vae, model), networks.Encoder(vae, model)
    image = colours(1, 64, 64)
    wanted = model.get_model_object("latent_format").process_in(vae.encode(image))
    latent = encode(image.movedim(-1, 1) * 2 - 1)
    assert torch.allclose(latent, wanted.to(latent), atol=1e-3)
    assert (decode(latent).movedim(1, -1) / 2 + 0.5 - image).abs().mean() < 0.05
