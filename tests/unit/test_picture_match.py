"""Finished pictures in the colours of a reference."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from ilvr_latent import InputError, LowPass, match, match_picture
from ilvr_latent.guides.lowpass import Kernel
from ilvr_latent.guides.picture_match import TOLERANCE

LEVEL = 2 * TOLERANCE


def picture(seed: int, height: int = 48, width: int = 64, contrast: float = 0.3) -> Tensor:
    """Soft shapes and fine grain, within [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    grain = torch.randn(2, 3, height, width, generator=generator)
    shapes = LowPass(12)(torch.randn(2, 3, height, width, generator=generator)) * 4
    return (contrast * (grain + shapes)).clamp(-1, 1)


@pytest.mark.parametrize("contrast", [0.1, 0.6])
@pytest.mark.parametrize("factor", [5.0, 16.0, 48.0])
@pytest.mark.parametrize("kernel", get_args(Kernel))
def test_the_low_frequencies_are_the_references_and_nothing_is_out_of_range(
    kernel: Kernel, factor: float, contrast: float
) -> None:
    x, y = picture(0, contrast=contrast), picture(1, contrast=contrast)
    z = match_picture(x, y, factor, kernel)
    assert float(z.abs().max()) <= 1
    phi = LowPass(factor, kernel)
    assert float((phi(z) - phi(y)).abs().max()) < LEVEL


def test_one_match_and_a_clamp_would_not_do() -> None:
    """What the rounds are for."""
    x, y, phi = picture(0, contrast=0.6), picture(1, contrast=0.6), LowPass(16)
    once = match(x, y, phi).clamp(-1, 1)
    assert float((phi(once) - phi(y)).abs().max()) > 20 * LEVEL


@pytest.mark.parametrize("kernel", ["box", "spectral"])
def test_where_nothing_is_clamped_a_projector_does_what_one_match_does(kernel: Kernel) -> None:
    x, y = picture(0, contrast=0.05), picture(1, contrast=0.05)
    assert torch.allclose(
        match_picture(x, y, 8, kernel), match(x, y, LowPass(8, kernel)), atol=1e-5
    )


def test_of_all_pictures_with_these_low_frequencies_it_is_the_nearest() -> None:
    """On the way to any other such picture the distance can only grow; the reference is one."""
    x, y = picture(0, contrast=0.6), picture(1, contrast=0.6)
    z = match_picture(x, y, 16, "box")
    for other in (y, match_picture(picture(2), y, 16, "box")):
        slope = ((z - x) * (other - z)).sum() / ((z - x).norm() * (other - z).norm())
        assert float(slope) > -1e-3


def test_a_picture_is_its_own_reference() -> None:
    x = picture(0)
    assert torch.equal(match_picture(x, x, 16), x)


def test_weight_0_is_the_picture_and_between_it_goes_part_of_the_way() -> None:
    x, y, phi = picture(0), picture(1), LowPass(16)
    assert torch.equal(match_picture(x, y, 16, weight=0.0), x)
    half = match_picture(x, y, 16, weight=0.5)
    assert float((phi(half) - (phi(x) + phi(y)) / 2).abs().max()) < LEVEL


def test_a_share_is_of_the_shorter_side_and_limits_are_the_callers() -> None:
    x, y = picture(0), picture(1)
    wanted = match_picture(x, y, 12)
    assert torch.equal(match_picture(x, y, 0.25, factor_unit="share"), wanted)
    unit = match_picture(x / 2 + 0.5, y / 2 + 0.5, 12, limits=(0, 1))
    assert torch.allclose(unit * 2 - 1, wanted, atol=1e-4)


def test_half_precision_stays_so() -> None:
    x, y = picture(0).bfloat16(), picture(1).bfloat16()
    assert match_picture(x, y, 16).dtype == torch.bfloat16


def halves(width: int = 64) -> Tensor:
    """The left one is white."""
    return (torch.arange(width) < width // 2).float().expand(1, 1, 48, width)


def test_what_is_outside_the_mask_is_kept_and_does_not_matter() -> None:
    x, y, mask = picture(0), picture(1), halves()
    z = match_picture(x, y, 16, mask=mask)
    other = match_picture(x, torch.where(mask > 0, y, -y), 16, mask=mask)
    assert torch.equal(z[..., 32:], x[..., 32:])
    assert torch.equal(z, other)
    assert not torch.equal(z[..., :32], x[..., :32])


@pytest.mark.parametrize("factor", [8.0, 16.0, 48.0])
def test_a_shift_of_colour_is_undone_up_to_the_masks_edge(factor: float) -> None:
    y, mask = picture(0, contrast=0.1), halves()
    x = y + 0.2
    kept = match_picture(x, y, factor, mask=mask)
    assert torch.allclose(kept[..., :32], y[..., :32], atol=LEVEL)
    assert torch.equal(kept[..., 32:], x[..., 32:])
    spread = match_picture(x, y, factor, mask=mask, beyond="spread")
    assert torch.allclose(spread, y, atol=LEVEL)


def test_a_soft_mask_blends() -> None:
    y = picture(0, contrast=0.1)
    mask = torch.full((1, 1, 48, 64), 0.25)
    z = match_picture(y + 0.2, y, 16, mask=mask)
    assert torch.allclose(z, y + 0.15, atol=LEVEL)


def test_one_place_is_enough_and_sides_may_be_odd() -> None:
    y = picture(0, 33, 17, contrast=0.1)
    mask = torch.zeros(1, 1, 33, 17)
    mask[..., 20, 5] = 1
    assert torch.allclose(match_picture(y - 0.1, y, 8, mask=mask, beyond="spread"), y, atol=LEVEL)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"factor": 0.5}, "factor N is 0.5"),
        ({"factor": 2.0, "factor_unit": "share"}, "2 of the side"),
        ({"factor_unit": "cells"}, "'cells'"),
        ({"kernel": "round"}, "'round'"),
        ({"weight": 1.5}, "weight is 1.5"),
        ({"beyond": "all"}, "'all'"),
        ({"reference": torch.zeros(1, 3, 8, 8)}, "resize the reference"),
        ({"reference": torch.zeros(3, 3, 48, 64)}, "resize the reference"),
        ({"reference": torch.full((1, 3, 48, 64), torch.nan)}, "reference holds NaN"),
        ({"picture": torch.zeros(3, 48, 64)}, "shape"),
        ({"picture": torch.zeros(2, 3, 48, 64, dtype=torch.uint8)}, "uint8"),
        ({"mask": torch.zeros(1, 1, 48, 64)}, "mask is empty"),
        ({"mask": torch.full((1, 1, 48, 64), 2.0)}, "outside"),
        ({"mask": torch.ones(1, 1, 8, 8)}, "resize it"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_cannot_be_used_is_named(changed: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"picture": picture(0), "reference": picture(1), "factor": 8.0}
    with pytest.raises(InputError, match=said):
        match_picture(**{**given, **changed})
