"""A VAE that others trained, in ComfyUI's own loader: encode, match, decode."""

from __future__ import annotations

import importlib
import importlib.util
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parent.parent.parent
PLACES = [parent / "shared" / "vae" for parent in ROOT.parents]
FOLDER = next((place for place in PLACES if place.is_dir()), PLACES[0])
DECODER = "taef2_decoder.safetensors"


@pytest.fixture(scope="module")
def vae(pack: ModuleType) -> Any:
    """The tiny VAE of FLUX.2's latents."""
    if not (FOLDER / DECODER).is_file():
        pytest.skip(f"no {DECODER} in {FOLDER}")
    loader = importlib.import_module("execution").nodes.VAELoader
    if "taef2" not in getattr(loader, "image_taes", ()):
        pytest.skip("this ComfyUI does not know taef2")
    import folder_paths

    folder_paths.add_model_folder_path("vae_approx", str(FOLDER))
    return loader().load_vae("taef2")[0]


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Two soft landscapes of colour, (2, 128, 128, 3) in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 6, 6, generator=generator) * 0.8 + 0.1
    fine = torch.nn.functional.interpolate(coarse, (128, 128), mode="bicubic").clamp(0, 1)
    return fine.movedim(1, -1)


def decibels(pack: ModuleType, x: torch.Tensor, y: torch.Tensor, factor: float = 1) -> float:
    phi = pack.ilvr_latent.LowPass(factor)
    error = phi((x - y).movedim(-1, 1)).square().mean()
    return -10 * math.log10(float(error) + 1e-12)


def test_a_picture_goes_there_and_back(pack: ModuleType, vae: Any, pictures: torch.Tensor) -> None:
    made = pack.nodes.tools.reference.ILVRReferenceEncode.execute(pictures, vae)
    assert made[0]["samples"].shape == (2, 128, 8, 8)
    assert decibels(pack, vae.decode(made[0]["samples"]), pictures) > 28


def test_a_latent_that_is_matched_shows_the_references_layout_and_the_node_its_colours(
    pack: ModuleType, vae: Any, pictures: torch.Tensor
) -> None:
    encode = pack.nodes.tools.reference.ILVRReferenceEncode.execute
    latents = encode(pictures, vae)[0]["samples"]
    x, y = latents[:1], latents[1:]
    led = vae.decode(pack.ilvr_latent.match(x, y, pack.ilvr_latent.LowPass(2)))
    before = decibels(pack, pictures[:1], pictures[1:], 32)
    in_latents = decibels(pack, led, pictures[1:], 32)
    assert in_latents > before + 8
    match = pack.nodes.tools.match.ILVRMatchPicture.execute
    (matched,) = match(led, pictures[1:], 32.0, "pixels", 1.0).args
    assert decibels(pack, matched, pictures[1:], 32) > max(60.0, in_latents + 10)


def test_its_latents_are_those_of_the_benchmarks(vae: Any, pictures: torch.Tensor) -> None:
    spec = importlib.util.spec_from_file_location("_tiny", ROOT / "benchmarks/colours/vae.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ours = module.TinyVAE(FOLDER)
    with torch.no_grad():
        latents = ours.encode(pictures.movedim(-1, 1) * 2 - 1)
        shown = (ours.decode(latents).movedim(1, -1) / 2 + 0.5).clamp(0, 1)
    assert torch.allclose(vae.encode(pictures).cpu(), latents, atol=2e-2)
    assert torch.allclose(vae.decode(latents).cpu(), shown, atol=1e-2)
