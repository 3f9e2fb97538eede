"""Block statistics: AdaIN, and what of a direction keeps them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ilvr_latent import InputError
from ilvr_latent.guides import block_adain, block_statistics, tangent_split
from ilvr_latent.guides.blocks import blocked


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("size", "blocks"), [((12, 8), 4), ((16, 16), 1), ((2, 6, 8), 2)])
def test_adain_gives_a_picture_the_statistics(size: tuple[int, ...], blocks: int) -> None:
    x, y = noise(2, 3, *size), 2 + 3 * noise(2, 3, *size, seed=1)
    mean, std = block_statistics(y, blocks)
    assert mean.shape == (2, 3, *size[:-2], blocks, blocks, 1, 1)
    placed = block_adain(x, mean, std, blocks)
    got_mean, got_std = block_statistics(placed, blocks)
    torch.testing.assert_close(got_mean, mean)
    # 1e-5 of the variance of x is missing.
    torch.testing.assert_close(got_std, std, rtol=2e-4, atol=0)
    assert bool((got_std <= std).all())


def test_a_flat_block_becomes_its_mean() -> None:
    mean, std = block_statistics(noise(1, 1, 4, 4), 2)
    placed = block_adain(torch.ones(1, 1, 4, 4, dtype=torch.float64), mean, std, 2)
    torch.testing.assert_close(blocked(placed, 2), mean.expand(1, 1, 2, 2, 2, 2))


def test_a_direction_is_split_into_what_keeps_the_statistics_and_the_rest() -> None:
    x, v = noise(2, 3, 8, 8), noise(2, 3, 8, 8, seed=1)
    mean, std = block_statistics(noise(2, 3, 8, 8, seed=2), 2)
    x = block_adain(x, mean, std, 2)
    tangent, rest = tangent_split(x, v, mean, 2)
    torch.testing.assert_close(tangent + rest, v)
    for one, other in ((tangent, rest), (tangent, x), (tangent, torch.ones_like(x))):
        products = blocked(one * other, 2).sum((-2, -1))
        torch.testing.assert_close(products, torch.zeros_like(products), atol=1e-12, rtol=0)
    moved_mean, moved_std = block_statistics(x + 1e-4 * tangent, 2)
    torch.testing.assert_close(moved_mean, mean)
    torch.testing.assert_close(moved_std, block_statistics(x, 2)[1], rtol=1e-7, atol=0)


def test_a_direction_at_the_centre_of_the_sphere_is_finite() -> None:
    x = torch.zeros(1, 1, 4, 4)
    tangent, rest = tangent_split(x, noise(1, 1, 4, 4).float(), torch.zeros(1, 1, 2, 2, 1, 1), 2)
    assert bool((tangent + rest).isfinite().all())


def test_half_precision_is_computed_in_fp32() -> None:
    x = (100 + noise(1, 2, 64, 64)).half()
    mean, std = block_statistics(x, 2)
    assert mean.dtype == torch.float32
    torch.testing.assert_close(mean, block_statistics(x.float(), 2)[0])
    assert block_adain(x, mean, std, 2).dtype == torch.float16


@pytest.mark.parametrize(
    ("size", "blocks", "remedy"),
    [
        ((16, 16), 5, "use 1, 2, 4 or 8 blocks"),
        ((16, 16), 16, "use 1, 2, 4 or 8 blocks"),
        ((16, 24), 3, "24x16.*use 1, 2, 4 or 8 blocks"),
        ((7, 16), 2, "use 1 block, or another size"),
        ((1, 1), 1, "use another size"),
    ],
)
def test_a_size_that_does_not_divide_is_refused_with_the_numbers_that_do(
    size: tuple[int, int], blocks: int, remedy: str
) -> None:
    for call in (block_statistics, lambda x, n: block_adain(x, x, x, n)):
        with pytest.raises(InputError, match=remedy):
            call(torch.zeros(1, 3, *size), blocks)
