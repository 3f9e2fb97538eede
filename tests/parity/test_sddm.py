"""SDDM against a reference implementation that agrees with the authors' code."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import SDDM
from ilvr_latent.guides import (
    block_adain,
    block_statistics,
    feature_energy,
    min_norm,
    tangent_split,
)
from tests.parity.goldens import Golden, GoldenMixture, features, golden, replay


@pytest.fixture(scope="module")
def parts() -> Golden:
    return golden("sddm_parts")


@pytest.fixture(scope="module")
def run() -> Golden:
    return golden("sddm_run")


def close(got: Tensor, wanted: Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(got.double(), wanted, atol=atol, rtol=0)


def test_block_statistics_and_adain(parts: Golden) -> None:
    blocks, a = parts.meta["blocks"], parts.meta["abar"]
    mean, std = block_statistics(parts["y0"], blocks)
    close(mean, parts["expected_mean"])
    close(std, parts["expected_std"])
    mean_t, std_t = math.sqrt(a) * mean, (a * std.square() + 1 - a).sqrt()
    close(mean_t, parts["expected_mean_t"])
    close(std_t, parts["expected_std_t"])
    close(block_adain(parts["x"], mean_t, std_t, blocks), parts["expected_adain"])


def test_the_split_of_a_direction(parts: Golden) -> None:
    blocks, mean_t = parts.meta["blocks"], parts["expected_mean_t"].float()
    tangent, rest = tangent_split(parts["x"], parts["v"], mean_t, blocks)
    close(tangent, parts["expected_tangent"])
    close(rest, parts["expected_rest"])
    on = parts["expected_adain"].float()
    tangent, _ = tangent_split(on, parts["v"], mean_t, blocks)
    close(tangent, parts["expected_tangent_on_manifold"])


@pytest.mark.parametrize("name", ["V2", "V3", "V5"])
def test_the_shortest_vector_of_a_hull(parts: Golden, name: str) -> None:
    merged, weights = min_norm(parts[name])
    close(merged, parts[f"expected_{name}"])
    if f"expected_{name}_weights" in parts.arrays:
        close(weights, parts[f"expected_{name}_weights"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_state_of_a_run(run: Golden, dtype: torch.dtype) -> None:
    out = replay(run, sddm(run), dtype=dtype)
    assert out.states[0].dtype == dtype
    close(torch.stack(out.states), run["expected"], 1e-4 if dtype == torch.float32 else 1e-7)
    # The last step, and the one before it, are the sampler's own: nothing is taken back there.
    close(torch.stack(out.produced[-2:]), run["expected"][-2:], 1e-4)


def sddm(run: Golden, **settings: Any) -> SDDM:
    blocks = run.meta["blocks"]
    energy = feature_energy(features(run), run["y0"], blocks=blocks)
    chosen: dict[str, Any] = {
        "blocks": blocks,
        "energies": [energy],
        "range_t": run.meta["range_t"],
    }
    return SDDM(run["y0"], **(chosen | settings))


@pytest.mark.parametrize("repeats", [0, 4])
@pytest.mark.parametrize("per_block", [False, True])
def test_every_step_is_the_papers_written_down_plainly(
    run: Golden, repeats: int, per_block: bool
) -> None:
    """Two energies, and the settings that the golden has not, line against line in float64."""

    def smooth(x: Tensor) -> Tensor:
        return x.diff(dim=-1).square().flatten(1).sum(1)

    energies: list[Callable[[Tensor], Tensor]] = [
        feature_energy(features(run), run["y0"], blocks=run.meta["blocks"]),
        smooth,
    ]
    guide = sddm(run, energies=energies, repeats=repeats, per_block=per_block)
    out = replay(run, guide, dtype=torch.float64)
    wanted = plain_sddm(run, energies, repeats, per_block)
    torch.testing.assert_close(torch.stack(out.states), torch.stack(wanted), atol=1e-7, rtol=0)
    # The first of the moves takes the place of the step's own call.
    assert out.calls == 6 + max(repeats - 1, 0)


def plain_sddm(
    run: Golden, energies: list[Callable[[Tensor], Tensor]], repeats: int, per_block: bool
) -> list[Tensor]:
    """The states of a run, by the formulas of the mean."""
    model = GoldenMixture(run["gm_mu"], run["gm_w"], float(run["gm_s"]))
    n, m_s = run.meta["blocks"], block_statistics(run["y0"].double(), run.meta["blocks"])
    levels = list(zip(run["abar"].tolist(), run["abar_prev"].tolist(), strict=True))
    x, states = run["x_T"].double(), list[Tensor]()

    def adain_to(x: Tensor, a: float) -> Tensor:
        return block_adain(x, a**0.5 * m_s[0], (a * m_s[1] ** 2 + 1 - a).sqrt(), n)

    for i, (a, p) in enumerate(levels):
        alpha, beta = a / p, 1 - a / p
        t = run["timesteps"][i].expand(len(x))

        def mean_of(x: Tensor, a: float = a, p: float = p, t: Tensor = t) -> Tensor:
            x_0 = (x - (1 - a) ** 0.5 * model(x, t)) / a**0.5
            mu: Tensor = (p**0.5 * (1 - a / p) * x_0 + (a / p) ** 0.5 * (1 - p) * x) / (1 - a)
            return mu

        def guided(mu: Tensor, x: Tensor, a: float = a, p: float = p) -> Tensor:
            f, m_t = x / (a / p) ** 0.5 - x, a**0.5 * m_s[0]
            d_m, d_o = tangent_split(x, mu - f - x, m_t, n)
            found = [d_m]
            for energy in energies:
                point = x.clone().requires_grad_()
                (g,) = torch.autograd.grad(energy(point).sum(), point)
                e, _ = tangent_split(x, -g, m_t, n)
                ratio = d_m.norm(dim=(2, 3), keepdim=True) / e.norm(dim=(2, 3), keepdim=True)
                found.append(25 * (1 - a / p) / (a / p) ** 0.5 * ratio * e)
            moved: Tensor = x + merged(found) + d_o + f
            return moved

        def merged(found: list[Tensor]) -> Tensor:
            side = found[0].shape[-1] // n if per_block else found[0].shape[-1]
            out = torch.zeros_like(found[0])
            for top in range(0, out.shape[-2], side):
                for left in range(0, out.shape[-1], side):
                    part = (..., slice(top, top + side), slice(left, left + side))
                    cells = torch.stack([v[part].flatten(2) for v in found], 2)
                    out[part] = min_norm(cells)[0].reshape(out[part].shape)
            return out

        k = len(levels) - 1 - i
        mu = mean_of(x)
        if k > run.meta["range_t"]:
            if k == run.meta["range_t"] + 1:
                for _ in range(repeats):
                    mu = mean_of(x)
                    x = guided(mu, x)
            mu = guided(mu, x)
        variance = beta * (1 - p) / (1 - a)
        x = mu + variance**0.5 * run["z"][i].double()
        if k > run.meta["range_t"]:
            x = adain_to(x, p)
        assert alpha < 1
        states.append(x)
    return states
