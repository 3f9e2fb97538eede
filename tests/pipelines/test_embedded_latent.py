"""The latent model that ships: four references, three N, two prompts, two seeds."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from torch import Tensor

from ilvr_latent import LowPass, Reference, Window
from ilvr_latent.embedded import LATENT_MODEL, REFERENCES, load_embedded_pipeline
from ilvr_latent.pictures.images import read_image
from ilvr_latent.pipelines import ILVRCallback, encode_reference

FACTORS = (1.0, 2.0, 4.0)
PROMPTS = ("cat face", "red heart")
SEEDS = (0, 1)
STEPS = 4
KERNEL: Final = "box"  # a projection: what is matched stays matched to the last digit
COARSE = LowPass(16)  # pixels: two cells
Cell = tuple[float, str, int]


@pytest.fixture(scope="module")
def pipe() -> Any:
    pipe = load_embedded_pipeline()
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def y_0(pipe: Any) -> Tensor:
    files = sorted(REFERENCES.glob("*.png"))[::3]  # flat ones, a scribble, glossy ones
    return torch.cat([encode_reference(pipe, read_image(file)) for file in files])


def sampled(
    pipe: Any, y_0: Tensor, prompt: str, seed: int, callback: ILVRCallback | None, **settings: Any
) -> Tensor:
    """One latent for each reference, all from the noise of one seed."""
    made: Tensor = pipe(
        [prompt] * len(y_0),
        num_inference_steps=STEPS,
        guidance_scale=4.0,
        generator=[torch.Generator().manual_seed(seed) for _ in y_0],
        callback_on_step_end=callback,
        output_type="latent",
        **settings,
    ).images
    return made


@pytest.fixture(scope="module")
def samples(pipe: Any, y_0: Tensor) -> dict[Cell, Tensor]:
    return {
        (factor, prompt, seed): sampled(
            pipe,
            y_0,
            prompt,
            seed,
            ILVRCallback(pipe, Reference(y_0, factor, kernel=KERNEL), seed=seed),
        )
        for factor, prompt, seed in product(FACTORS, PROMPTS, SEEDS)
    }


def distance(a: Tensor, b: Tensor) -> float:
    """RMS, over everything."""
    return (a - b).square().mean().sqrt().item()


def test_it_is_a_stable_diffusion_pipeline_without_our_code() -> None:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(LATENT_MODEL, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    (picture,) = pipe("a red apple", num_inference_steps=2).images
    assert picture.size == (128, 128)


def test_it_is_small_and_holds_nothing_but_tensors_and_text() -> None:
    files = [file for file in Path(LATENT_MODEL).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 20_000_000
    assert {file.suffix for file in files} <= {".json", ".txt", ".md", ".safetensors"}


def test_the_low_band_is_that_of_the_reference(samples: dict[Cell, Tensor], y_0: Tensor) -> None:
    for (factor, _, _), x in samples.items():
        phi = LowPass(factor, KERNEL)
        assert distance(phi(x), phi(y_0)) < 1e-5 * phi(y_0).std().item()


@pytest.fixture(scope="module")
def pictures(pipe: Any, samples: dict[Cell, Tensor]) -> dict[Cell, Tensor]:
    return {cell: decoded(pipe, z) for cell, z in samples.items()}


@torch.inference_mode()
def decoded(pipe: Any, z: Tensor) -> Tensor:
    """The coarse picture: most numbers of a latent say how fine parts look."""
    return COARSE(pipe.vae.decode(z / pipe.vae.config.scaling_factor).sample)


def test_a_smaller_factor_is_closer_to_the_reference(
    pipe: Any, pictures: dict[Cell, Tensor], y_0: Tensor
) -> None:
    reference = decoded(pipe, y_0)
    for prompt, seed in product(PROMPTS, SEEDS):
        one, two, four = (distance(pictures[factor, prompt, seed], reference) for factor in FACTORS)
        assert one < 1e-5
        assert two < 0.6 * four


def test_diversity_between_seeds_rises_with_the_factor(pictures: dict[Cell, Tensor]) -> None:
    for prompt in PROMPTS:
        one, two, four = (
            distance(*(pictures[factor, prompt, seed] for seed in SEEDS)) for factor in FACTORS
        )
        assert one < 1e-5
        assert 0.02 < two < 0.6 * four


def test_the_prompt_changes_what_the_low_band_leaves_free(samples: dict[Cell, Tensor]) -> None:
    for factor in FACTORS[1:]:
        a, b = (samples[factor, prompt, 0] for prompt in PROMPTS)
        low = distance(LowPass(factor)(a), LowPass(factor)(b))
        assert distance(a, b) > 0.05
        assert distance(a, b) > 3 * low


def test_guidance_scale_strengthens_the_prompt(pipe: Any, y_0: Tensor) -> None:
    def parted(scale: float) -> float:
        a, b = (
            pipe(
                prompt,
                num_inference_steps=STEPS,
                guidance_scale=scale,
                num_images_per_prompt=2,
                generator=torch.Generator().manual_seed(0),
                output_type="latent",
            ).images
            for prompt in PROMPTS
        )
        return distance(a, b)

    assert 0.05 < parted(1.0) < parted(4.0)


def test_an_early_end_lets_the_model_finish(
    pipe: Any, y_0: Tensor, samples: dict[Cell, Tensor]
) -> None:
    def left(end: float) -> float:
        callback = ILVRCallback(pipe, Reference(y_0, 2.0, window=Window(0, end)))
        return distance(sampled(pipe, y_0, PROMPTS[0], 0, callback), y_0)

    assert distance(samples[2.0, PROMPTS[0], 0], y_0) < left(0.5) < left(0.2)


def test_weight_0_changes_no_bit(pipe: Any, y_0: Tensor) -> None:
    off = ILVRCallback(pipe, Reference(y_0[:2], 2.0, weight=0.0))
    with_it, without = (sampled(pipe, y_0[:2], PROMPTS[0], 0, c) for c in (off, None))
    assert torch.equal(with_it, without)
