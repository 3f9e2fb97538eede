"""The shortest vector of a hull."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ilvr_latent.guides import min_norm


def vectors(rows: int, count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(rows, count, 40, generator=generator)
    # Of very different lengths, and not at right angles.
    return (v + 0.5 * v[:, :1]) * torch.rand(rows, count, 1, generator=generator).exp()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_it_is_in_the_hull_and_goes_against_none(count: int) -> None:
    v = vectors(50, count)
    merged, weights = min_norm(v)
    assert bool((weights >= 0).all())
    torch.testing.assert_close(weights.sum(-1), torch.ones(50))
    torch.testing.assert_close((weights[..., None] * v).sum(1), merged)
    assert bool((merged.norm(dim=-1) <= v.norm(dim=-1).amin(-1) * (1 + 1e-5)).all())
    # The conditions of Karush, Kuhn and Tucker: each product is at least the own square.
    least = (v * merged[:, None]).sum(-1).amin(-1) / merged.square().sum(-1)
    assert float(least.min()) > (0.9999 if count < 3 else 0.85)


def test_two_by_frank_wolfe_are_two_by_the_closed_form() -> None:
    v = vectors(50, 2)
    again = torch.cat([v, v[:, 1:]], 1)
    torch.testing.assert_close(min_norm(again)[0], min_norm(v)[0], atol=2e-3, rtol=0)


def test_equal_opposite_and_empty_vectors() -> None:
    u = torch.tensor([1.0, 2.0])
    for pair, wanted in (((u, u), u), ((u, -u), 0 * u), ((u, 0 * u), 0 * u), ((0 * u, u), 0 * u)):
        for vectors in (pair, (*pair, pair[1])):
            merged, weights = min_norm(torch.stack(vectors))
            torch.testing.assert_close(merged, wanted, atol=1e-6, rtol=0)
            assert bool(weights.isfinite().all())


@pytest.mark.parametrize("count", [2, 4])
def test_a_row_does_not_depend_on_the_others(count: int) -> None:
    v = vectors(20, count)
    alone = torch.cat([min_norm(row[None])[0] for row in v])
    torch.testing.assert_close(min_norm(v)[0], alone, atol=1e-6, rtol=0)


def test_half_precision_is_computed_in_fp32() -> None:
    v = (300 * vectors(4, 3)).half()
    merged, weights = min_norm(v)
    assert (merged.dtype, weights.dtype) == (torch.float16, torch.float32)
    torch.testing.assert_close(merged.float(), min_norm(v.float())[0], atol=0.5, rtol=1e-3)
