"""Score SDE, annealed Langevin and cold diffusion against a reference implementation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from ilvr_latent.diffusion import BlurDegradation, annealed_langevin, cold_sample, sample_pc
from tests.gaussians import Gaussians, Replayed
from tests.parity.goldens import golden

DTYPES = [(torch.float32, 1e-4), (torch.float64, 1e-12)]


def read(name: str, dtype: torch.dtype) -> tuple[dict[str, Any], dict[str, Tensor]]:
    run = golden(name)
    wanted = {key: torch.float64 if "expected" in key else dtype for key in run.arrays}
    return run.meta, {key: run[key].to(wanted[key]) for key in run.arrays}


def network(golden: Mapping[str, Tensor]) -> Gaussians:
    return Gaussians(golden["gm_mu"], golden["gm_w"], float(golden["gm_s"]))


def worst(got: Tensor, wanted: Tensor) -> float:
    return float((got.double() - wanted).abs().max())


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
def test_predictor_and_corrector(dtype: torch.dtype, tolerance: float) -> None:
    meta, golden = read("pc_reverse_diffusion", dtype)
    states = list[Tensor]()
    out = sample_pc(
        network(golden),
        shape=tuple(golden["x_T"].shape),
        steps=meta["steps"],
        predictor=meta["predictor"],
        snr=meta["snr"],
        corrector_steps=meta["n_corr"],
        norms="batch",
        noise=Replayed(golden["x_T"], golden["zp"], golden["zc"]),
        callback=lambda step, x: states.append(x),
    )
    assert out.dtype == dtype
    assert worst(torch.stack(states), golden["expected"]) < tolerance
    assert worst(out, golden["expected_final"]) < tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
def test_annealed_langevin(dtype: torch.dtype, tolerance: float) -> None:
    meta, golden = read("annealed_langevin", dtype)
    model = network(golden)

    def score(x: Tensor, sigma: float) -> Tensor:
        a = 1 / (1 + sigma**2)
        return math.sqrt(a) * model.score(x * math.sqrt(a), a)

    out = annealed_langevin(
        score, golden["x_start"], golden["sigmas"], eps=meta["eps"],
        steps_each=meta["steps_each"], denoise=meta["denoise"],
        noise=Replayed(golden["x_start"], corrector=golden["z"]),
    )  # fmt: skip
    assert out.dtype == dtype
    assert worst(out, golden["expected"]) < tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
def test_cold_diffusion_of_blurs(dtype: torch.dtype, tolerance: float) -> None:
    meta, golden = read("cold_blur_2", dtype)
    levels = int(meta["levels"])
    blurred = BlurDegradation(meta["size"], meta["stds"], mode=meta["mode"])
    for s in range(levels + 1):
        assert worst(blurred(golden["x0"], s), golden["expected_D"][s]) < min(tolerance, 1e-5)

    def restore(x: Tensor, s: int) -> Tensor:
        return torch.tanh(1.2 * x) + golden["c"] * (s / levels)

    states = list[Tensor]()
    out = cold_sample(
        golden["x_S"], restore, blurred, levels, algorithm=meta["algorithm"],
        callback=lambda s, x: states.append(x),
    )  # fmt: skip
    assert out.dtype == dtype
    assert worst(torch.stack(states), golden["expected"]) < tolerance
    assert torch.equal(out, states[-1])
