"""The nodes that prepare a reference and show what is held of it."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch


@pytest.fixture(params=["of this ComfyUI", "ours"])
def encode(pack: ModuleType, request: pytest.FixtureRequest) -> Any:
    """The node with a pixel VAE, so that the latent shows what was encoded."""
    module = pack.nodes.models.pixel_vae
    vae = module.PixelVAE() if request.param == "ours" else module.pixel_vae()

    def run(image: torch.Tensor, fit: str, height: int = 32, width: int = 32) -> torch.Tensor:
        latent = {"samples": torch.zeros(1, 3, height, width)}
        node = pack.nodes.tools.reference.ILVRReferenceEncode
        reference, shown = node.execute(image, vae, latent, fit).args
        assert torch.allclose(reference["samples"].movedim(1, -1) / 2 + 0.5, shown, atol=1e-6)
        assert shown.shape == (len(image), height, width, 3)
        assert shown.min() >= 0 and shown.max() <= 1
        assert torch.allclose(vae.decode(reference["samples"]), shown, atol=1e-6)
        return shown

    return run


def test_fit(encode: Any) -> None:
    """Left half black, right half red, twice as wide as high."""
    image = torch.zeros(2, 40, 80, 3)
    image[:, :, 40:, 0] = 1
    crop, pad, stretch = (encode(image, fit) for fit in ("crop", "pad", "stretch"))
    red = torch.tensor([1.0, 0.0, 0.0])
    for shown in (crop, stretch):
        assert torch.allclose(shown[:, :, :12], torch.zeros(3), atol=0.02)
        assert torch.allclose(shown[:, :, 20:], red, atol=0.02)
    assert torch.equal(pad[:, :8], torch.ones(2, 8, 32, 3))
    assert torch.equal(pad[:, 24:], torch.ones(2, 8, 32, 3))
    assert torch.allclose(pad[:, 10:22, 20:], red, atol=0.02)


@pytest.mark.parametrize("size", [(1, 1), (33, 17), (200, 3)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_any_size_fits(encode: Any, fit: str, size: tuple[int, int]) -> None:
    encode(torch.rand(1, *size, 3), fit, 24, 40)


def test_what_is_transparent_becomes_white_and_grey_becomes_rgb(encode: Any) -> None:
    clear = torch.rand(1, 32, 32, 4)
    clear[..., 3] = 0
    assert torch.equal(encode(clear, "crop"), torch.ones(1, 32, 32, 3))
    assert encode(torch.rand(1, 32, 32, 1), "crop").std(-1).max() < 1e-6


def test_a_vae_that_gives_nan_is_run_again_in_fp32(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import comfy.sd

    image, made = torch.rand(1, 8, 8, 3), []

    def vae(dtype: torch.dtype, value: float) -> SimpleNamespace:
        return SimpleNamespace(
            vae_dtype=dtype, encode=lambda x: torch.full((1, 4, 1, 1), value), get_sd=dict
        )

    def wide(sd: dict[str, Any], dtype: torch.dtype) -> SimpleNamespace:
        made.append(dtype)
        return vae(dtype, 1.0)

    monkeypatch.setattr(comfy.sd, "VAE", wide)
    node = pack.nodes.tools.reference.ILVRReferenceEncode
    reference = node.execute(image, vae(torch.float16, torch.nan))[0]
    assert made == [torch.float32]
    assert torch.equal(reference["samples"], torch.ones(1, 4, 1, 1))
    assert "encoded in fp32" in caplog.text


def test_the_preview_is_what_the_core_says(pack: ModuleType) -> None:
    image = torch.rand(2, 24, 40, 3)
    shown = pack.nodes.tools.reference.ILVRLowPassPreview.execute(image, 8, "box")[0]
    assert torch.allclose(shown[:, :8, :8], image[:, :8, :8].mean((1, 2), keepdim=True))
    with pytest.raises(pack.ilvr_latent.InputError, match="factor is 0"):
        pack.nodes.tools.reference.ILVRLowPassPreview.execute(image, 0, "box")


def test_what_load_image_calls_transparent_becomes_white(pack: ModuleType) -> None:
    node, vae = pack.nodes.tools.reference.ILVRReferenceEncode, pack.nodes.models.pixel_vae
    image, alpha = torch.full((1, 8, 8, 3), 0.2), torch.zeros(1, 8, 8)
    alpha[:, :, 4:] = 1
    shown = node.execute(image, vae.pixel_vae(), transparency=alpha)[1]
    assert torch.all(shown[:, :, :4] == 0.2) and torch.all(shown[:, :, 4:] == 1)
    # What the host gives for a picture without alpha.
    plain = node.execute(image, vae.pixel_vae(), transparency=torch.zeros(1, 64, 64))[1]
    assert torch.allclose(plain, image)


def test_what_is_no_picture_is_refused(pack: ModuleType) -> None:
    node, vae = pack.nodes.tools.reference.ILVRReferenceEncode, pack.nodes.models.pixel_vae
    error = pack.ilvr_latent.InputError
    for image, said in (
        (torch.zeros(0, 8, 8, 3), "no pixels"),
        (torch.full((1, 8, 8, 3), torch.nan), "NaN"),
    ):
        with pytest.raises(error, match=said):
            node.execute(image, vae.pixel_vae())
        with pytest.raises(error, match=said):
            pack.nodes.tools.reference.ILVRLowPassPreview.execute(image, 4.0)


@pytest.mark.parametrize(("frames", "shape"), [(1, (3, 16, 1, 4, 4)), (3, (1, 16, 3, 4, 4))])
def test_a_video_vae_is_given_pictures_one_by_one_unless_a_video_is_sampled(
    pack: ModuleType, frames: int, shape: tuple[int, ...]
) -> None:
    def encode(pixels: torch.Tensor) -> torch.Tensor:
        # As the host's: a batch is a video of that many frames.
        means = pixels.mean((1, 2, 3)).reshape(1, 1, -1, 1, 1)
        return means.expand(-1, 16, -1, 4, 4)

    vae = SimpleNamespace(
        encode=encode, latent_dim=3, vae_dtype=torch.float32,
        spacial_compression_encode=lambda: 8,
    )  # fmt: skip
    images = torch.rand(3, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    latent = {"samples": torch.zeros(1, 16, frames, 4, 4)}
    node = pack.nodes.tools.reference.ILVRReferenceEncode
    made = node.execute(images, vae, latent)[0]["samples"]
    assert made.shape == shape
    assert torch.allclose(made[:, 0, :, 0, 0].flatten(), images.mean((1, 2, 3)), atol=1e-5)
