"""The transport of colours: what it holds, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ilvr_latent import InputError, recolour
from ilvr_latent.guides.transport import ColourTransport, colour_statistics, inverse_root

SHAPE = (2, 3, 16, 16)
Pictures = Callable[..., Tensor]


@pytest.fixture
def style() -> Tensor:
    """Stripes in two colours, whose contrast is all in the finest bands."""
    picture = torch.full((1, 3, 16, 16), -0.5)
    picture[:, 0, :, ::2] = 0.9
    picture[:, 1, ::4] += 0.4
    return picture


def some_vectors(channels: int, seed: int, places: int = 400) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    mixed = torch.randn(channels, channels, generator=g, dtype=torch.float64)
    z = mixed @ torch.randn(1, channels, places, generator=g, dtype=torch.float64)
    return z + torch.randn(1, channels, 1, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_the_inverse_root_is_that_of_the_eigenvalues(channels: int) -> None:
    covariance = colour_statistics(some_vectors(channels, 0)).covariance
    values, axes = torch.linalg.eigh(covariance)
    expected = axes @ torch.diag_embed(values.rsqrt()) @ axes.mT
    assert torch.allclose(inverse_root(covariance), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_the_transport_has_the_wanted_statistics(channels: int) -> None:
    z, wanted = some_vectors(channels, 0), colour_statistics(some_vectors(channels, 1))
    moved = z + ColourTransport(wanted, most_gain=1e5).change(z, colour_statistics(z))
    got = colour_statistics(moved)
    assert torch.allclose(got.mean, wanted.mean)
    assert torch.allclose(got.covariance, wanted.covariance, rtol=1e-2, atol=1e-2)


def test_what_has_the_statistics_stays_whatever_the_greatest_gain() -> None:
    z = some_vectors(3, 0)
    change = ColourTransport(colour_statistics(z), most_gain=2.0).change(z, colour_statistics(z))
    assert change.abs().max() < 1e-4


def test_the_map_is_the_shortest() -> None:
    """Symmetric and not negative: whitening and colouring is neither, and moves further."""
    z, y = some_vectors(3, 0), some_vectors(3, 1)
    own, wanted = colour_statistics(z), colour_statistics(y)
    moved = ColourTransport(wanted, most_gain=1e5).change(z, own)
    root = (
        torch.linalg.cholesky(wanted.covariance) @ torch.linalg.cholesky(own.covariance).inverse()
    )
    coloured = root @ (z - own.mean) + wanted.mean - z
    assert moved.square().mean() < coloured.square().mean()


def test_nothing_is_raised_more_than_the_greatest_gain() -> None:
    z = some_vectors(3, 0)
    faint = 1e-4 * (z - z.mean(-1, keepdim=True))
    change = ColourTransport(colour_statistics(z), most_gain=4.0).change(
        faint, colour_statistics(faint)
    )
    moved = faint + change - z.mean(-1, keepdim=True)
    assert moved.norm() < 4.01 * faint.norm()
    assert moved.norm() > 3 * faint.norm()


def test_places_outside_the_area_do_not_count() -> None:
    z = some_vectors(3, 0)
    area = torch.zeros(1, 1, 400, dtype=torch.float64)
    area[..., :100] = 1
    inside, alone = colour_statistics(z, area=area), colour_statistics(z[..., :100])
    assert torch.allclose(inside.covariance, alone.covariance)
    assert torch.allclose(inside.mean, alone.mean)


def test_deviations_alone_are_adain() -> None:
    z, y = some_vectors(3, 0), some_vectors(3, 1)
    wanted = colour_statistics(y, "deviation")
    moved = z + ColourTransport(wanted, 1e5).change(z, colour_statistics(z, "deviation"))
    away = (z - z.mean(-1, keepdim=True)) / z.std(-1, keepdim=True, correction=0)
    expected = away * y.std(-1, keepdim=True, correction=0) + y.mean(-1, keepdim=True)
    assert torch.allclose(moved, expected, atol=1e-3)


@pytest.mark.parametrize("flat", ["picture", "style", "both"])
def test_a_flat_picture_is_moved_to_finite_colours(flat: str, style: Tensor) -> None:
    grey, other = torch.zeros(1, 3, 8, 8), style[..., :8, :8]
    picture = other if flat == "style" else grey
    moved = recolour(picture, other if flat == "picture" else grey + 0.3)
    assert moved.isfinite().all()
    expected = other.mean((2, 3)) if flat == "picture" else torch.full((1, 3), 0.3)
    assert torch.allclose(moved.mean((2, 3)), expected, atol=1e-4)


def test_recoloured_is_the_style_in_its_colours_and_the_picture_in_its_places(
    some_pictures: Pictures, style: Tensor
) -> None:
    picture = some_pictures(2, seed=1).float()
    got = recolour(picture, style)
    wanted = colour_statistics(style.flatten(2))
    found = colour_statistics(got.flatten(2))
    assert torch.allclose(found.mean, wanted.mean.expand_as(found.mean), atol=1e-4)
    covariance = wanted.covariance.expand_as(found.covariance)
    assert torch.allclose(found.covariance, covariance, atol=0.02)
    assert torch.equal(recolour(picture.half(), style.half()).isfinite(), torch.ones(SHAPE) == 1)


@pytest.mark.parametrize(
    ("picture", "given", "named"),
    [
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, 4), "same channels"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(2, 3, 4, 4), "one style"),
        (torch.zeros(3, 4, 4), torch.zeros(1, 3, 4, 4), "The picture is"),
        (torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), torch.nan), "The style is"),
    ],
)
def test_what_cannot_be_recoloured_is_refused(picture: Tensor, given: Tensor, named: str) -> None:
    with pytest.raises(InputError, match=named):
        recolour(picture, given)
