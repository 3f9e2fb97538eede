"""A VAE that others trained, in a pipeline as diffusers has them: encode, match, decode."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.colours.vae import FOLDER, TinyVAE, is_there
from ilvr_latent import LowPass, match, match_picture
from ilvr_latent.guides.picture_space import PictureILVR
from ilvr_latent.pictures.images import to_images, to_tensor
from ilvr_latent.pipelines import encode_reference

pytestmark = pytest.mark.skipif(not is_there(), reason=f"no taef2_decoder.safetensors in {FOLDER}")


class DiffusersVAE(torch.nn.Module):
    """With the calls that a diffusers pipeline makes."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.tiny = TinyVAE()
        self.encoder = self.tiny.encoder
        self.config = {"in_channels": 3, "scaling_factor": 1.0}

    def encode(self, x: Tensor) -> SimpleNamespace:
        return SimpleNamespace(latents=self.tiny.encode(x))


class Pipeline:
    """What of a pipeline a reference is encoded by."""

    vae_scale_factor = 16

    def __init__(self) -> None:
        self.vae = DiffusersVAE()


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    return Pipeline()


def landscape(seed: int) -> Image.Image:
    """Soft fields of colour."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=generator) * 1.6 - 0.8
    fine = torch.nn.functional.interpolate(coarse, (128, 128), mode="bicubic")
    return to_images(fine)[0]


def decibels(x: Tensor, y: Tensor, factor: float = 1) -> float:
    return float(10 * torch.log10(4 / LowPass(factor)(x - y).square().mean()))


@torch.no_grad()
def test_there_and_back_matched_in_latents_and_in_the_picture(pipe: Pipeline) -> None:
    one, other = to_tensor(landscape(0)), to_tensor(landscape(1))
    x, y = (encode_reference(pipe, landscape(k), size=(128, 128)) for k in (0, 1))
    assert x.shape == (1, 128, 8, 8)
    assert decibels(pipe.vae.tiny.decode(x), one) > 28
    led = pipe.vae.tiny.decode(match(x, y, LowPass(2))).clamp(-1, 1)
    in_latents = decibels(led, other, 32)
    assert in_latents > decibels(one, other, 32) + 8
    assert decibels(match_picture(led, other, 32), other, 32) > max(60.0, in_latents + 10)


@torch.no_grad()
def test_an_estimate_matched_in_pictures_is_nearer_than_one_matched_as_a_latent(
    pipe: Pipeline,
) -> None:
    tiny, other = pipe.vae.tiny, to_tensor(landscape(1))
    x, y = (tiny.encode(to_tensor(landscape(k))) for k in (0, 1))
    guide = PictureILVR(other, 32, tiny.decode, tiny.encode)
    led = match(x, y, LowPass(2))
    p = tiny.decode(led).clamp(-1, 1)
    changed = tiny.decode(led + tiny.encode(guide.matched(p)) - tiny.encode(p))
    assert decibels(changed, other, 32) > decibels(p, other, 32) + 2
