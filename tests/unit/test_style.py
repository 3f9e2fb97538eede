"""Style of bands: what a guided run takes over, and from what."""

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
    sample_with,
)
from ilvr_latent.diffusion import Schedule
from ilvr_latent.guides.style import Bands
from ilvr_latent.guides.transport import colour_statistics

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
