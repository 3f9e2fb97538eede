"""Style of bands: what the transport of colours is, and what a guided run does with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import (
    ILVR,
    BandStatistics,
    Guide,
    Guides,
    InputError,
    LowPass,
    Reference,
    Run,
    SeededNoise,
    Window,
    recolour,
    sample_with,
)
from ilvr_latent.diffusion import Schedule
from ilvr_latent.guides.style import Bands
from ilvr_latent.guides.transport import ColourTransport, colour_statistics, inverse_root

if TYPE_CHECKING:
    from tests.conftest import CountedNoise, MixtureDenoiser

SHAPE = (2, 3, 16, 16)
STEPS = 6
Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]


def run_with(model: MixtureDenoiser, guide: Guide | None, **settings: Any) -> Tensor:
    chosen: dict[str, Any] = {"shape": SHAPE, "steps": STEPS, "noise": SeededNoise(3)}
    return sample_with(model, guide, **(chosen | settings))


@pytest.fixture
def style() -> Tensor:
    """Stripes in two colours, whose contrast is all in the finest bands."""
    picture = torch.full((1, 3, 16, 16), -0.5)
    picture[:, 0, :, ::2] = 0.9
    picture[:, 1, ::4] += 0.4
    return picture


def cells(style: Tensor, **settings: Any) -> BandStatistics:
    """With N = 4."""
    return BandStatistics(style, 4, factor_unit="cells", **settings)


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


@pytest.mark.parametrize("factor", [1.0, 2.0, 6.0, 16.0])
def test_the_bands_are_the_whole(some_pictures: Pictures, factor: float) -> None:
    x = some_pictures(2, seed=1)
    bands = Bands(factor)(x)
    assert torch.allclose(torch.stack(bands).sum(0), x, atol=1e-5)
    assert torch.allclose(bands[-1], LowPass(factor, "spectral")(x))


def test_a_weight_of_0_is_the_plain_run_bit_for_bit(exact: Exact, style: Tensor) -> None:
    off = run_with(exact(), cells(style, weight=0.0))
    assert torch.equal(off, run_with(exact(), None))


def test_it_draws_no_numbers(exact: Exact, style: Tensor, counted_noise: CountedNoise) -> None:
    run_with(exact(), cells(style), noise=counted_noise)
    assert [what for what, _ in counted_noise.asked] == ["x_T", *["z"] * STEPS]


def statistics_of_bands(x: Tensor, factor: float) -> Tensor:
    return colour_statistics(torch.stack(Bands(factor)(x.float())).flatten(3)).covariance


def test_a_picture_gets_the_statistics_of_each_band(exact: Exact, style: Tensor) -> None:
    """The last step's prediction is the picture, and places are the model's own."""
    plain, held = (run_with(exact(), guide, clip_denoised=False) for guide in (None, cells(style)))
    wanted = statistics_of_bands(style, 4)[:-1]
    far, near = ((statistics_of_bands(x, 4)[:-1] - wanted).abs().mean() for x in (plain, held))
    assert near < 0.05 * far
    mean = held.mean((2, 3))
    assert torch.allclose(mean, style.mean((2, 3)).to(mean).expand_as(mean), atol=0.02)


def test_with_n_of_one_cell_only_the_colours_are_taken_over(exact: Exact, style: Tensor) -> None:
    made = run_with(
        exact(), BandStatistics(style, 1, factor_unit="cells"), clip_denoised=False
    ).float()
    wanted, got = (colour_statistics(x.flatten(2)).covariance for x in (style, made))
    assert torch.allclose(got, wanted.expand_as(got), atol=0.02)


def test_places_of_the_style_do_not_matter(exact: Exact, style: Tensor) -> None:
    turned = style.flip(-1)
    one, other = (run_with(exact(), cells(y)) for y in (style, turned))
    assert torch.allclose(one, other, atol=1e-4)


def test_without_a_palette_what_is_coarser_than_n_is_the_models(
    exact: Exact, style: Tensor
) -> None:
    """By projectors, exactly, where only the last step is guided."""
    last = Window.steps(STEPS - 1, STEPS - 1)
    guided, plain = (
        run_with(exact(), guide, clip_denoised=False)
        for guide in (cells(style, window=last, palette=False), None)
    )
    phi = LowPass(4, "spectral")
    assert torch.allclose(phi(guided), phi(plain), atol=1e-3)
    assert not torch.allclose(guided, plain, atol=0.1)


def test_layout_of_one_and_style_of_another(
    exact: Exact, some_pictures: Pictures, style: Tensor
) -> None:
    layout = some_pictures(1, seed=9).float()
    ilvr = ILVR(Reference(layout, 4, space="prediction", kernel="spectral"))
    bands = cells(style)
    made = run_with(exact(), Guides(ilvr, bands), clip_denoised=False)
    # ILVR holds the finished picture last where its window reaches the end.
    coarse = LowPass(4, "spectral")(made.float())
    assert torch.allclose(coarse, LowPass(4, "spectral")(layout).expand_as(coarse), atol=1e-3)
    wanted = statistics_of_bands(style, 4)[:-1]
    assert (statistics_of_bands(made, 4)[:-1] - wanted).abs().mean() < 0.1 * wanted.abs().mean()


def test_beside_a_match_of_the_state_the_order_does_not_matter(
    exact: Exact, some_pictures: Pictures, style: Tensor
) -> None:
    ilvr = ILVR(Reference(some_pictures(1, seed=9).float(), 4))
    one, other = (
        run_with(exact(), Guides(*guides))
        for guides in ((ilvr, cells(style)), (cells(style), ilvr))
    )
    assert torch.equal(one, other)


def test_a_mask_leaves_the_rest_alone(exact: Exact, style: Tensor) -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8] = 1
    last = Window.steps(STEPS - 1, STEPS - 1)
    plain = run_with(exact(), None)
    masked = run_with(exact(), cells(style, window=last, mask=mask))
    assert torch.equal(masked[..., 8:], plain[..., 8:])
    assert not torch.allclose(masked[..., :8], plain[..., :8], atol=0.1)


def test_a_picture_does_not_depend_on_its_batch(exact: Exact, style: Tensor) -> None:
    guide = cells(style)
    both = run_with(exact(), guide, noise=SeededNoise([5, 6]))
    alone = run_with(exact(), guide, noise=SeededNoise(6), shape=(1, *SHAPE[1:]))
    assert torch.allclose(both[1:], alone, atol=1e-4)


def test_each_picture_may_have_a_style_of_its_own(exact: Exact, style: Tensor) -> None:
    styles = torch.cat([style, -style])
    both = run_with(exact(), cells(styles))
    first = run_with(exact(), cells(style))
    assert torch.allclose(both[:1], first[:1], atol=1e-4)
    assert not torch.allclose(both[1:], first[1:], atol=0.1)


def test_videos_share_the_statistics_of_all_frames(style: Tensor) -> None:
    shape = (1, 3, 4, 16, 16)
    told: list[str] = []
    run = Run(
        Schedule("linear", 1000, STEPS),
        shape,
        torch.device("cpu"),
        SeededNoise(0),
        tell=told.append,
    )
    begun = cells(style).begin(run)
    assert begun is not None
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = begun.prediction(x, x, run.schedule.steps[0])
    assert made.shape == shape
    means = made.mean((2, 3, 4))
    assert torch.allclose(means, style.mean((2, 3)), atol=0.02)
    assert told == ["Takes colours and contrasts up to 4 pixels in steps 1 to 6 of 6."]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"moments": "skewness"}, "skewness"),
        ({"factor": 1.0, "palette": False}, "no palette"),
        ({"factor": 2.0, "factor_unit": "share"}, "2 of the side"),
        ({"weight": 2.0}, "weight is 2"),
        ({"style": torch.zeros(1, 4, 16, 16)}, "has shape"),
    ],
)
def test_what_cannot_be_used_is_refused_before_the_network_is_called(
    exact: Exact, style: Tensor, settings: dict[str, Any], named: str
) -> None:
    model = exact()
    given: dict[str, Any] = {"style": style, "factor": 4.0, "factor_unit": "cells", **settings}
    with pytest.raises(InputError, match=named):
        run_with(model, BandStatistics(**given))
    assert model.seen == []


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
