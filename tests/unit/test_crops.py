"""A crop is found where it was cut out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ilvr_latent import InputError
from ilvr_latent.guides.crops import find_crop


def picture(seed: int = 0, height: int = 40, width: int = 56) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 4, height // 8, width // 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0]
    return smooth + 3 + 0.1 * torch.randn(smooth.shape, generator=generator)


@pytest.mark.parametrize("place", [(0, 0), (24, 40), (7, 13), (24, 0), (0, 31)])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_crop_is_found_where_it_was_cut(place: tuple[int, int], noise: float) -> None:
    whole = picture()
    top, left = place
    crop = whole[:, top : top + 16, left : left + 16]
    crop = crop + noise * torch.randn(crop.shape, generator=torch.Generator().manual_seed(1))
    found = find_crop(crop, whole)
    assert (found.top, found.left) == place
    assert found.apart == pytest.approx(noise / float(whole.std()), abs=0.05)


def test_another_picture_lies_far_apart() -> None:
    assert find_crop(picture(1)[:, :16, :16], picture(0)).apart > 0.5


def test_the_whole_is_a_crop_of_itself_and_half_precision_is_enough() -> None:
    whole = picture().half()
    found = find_crop(whole, whole)
    assert (found.top, found.left) == (0, 0)
    assert found.apart < 1e-3


def test_a_place_without_structure_is_told_by_its_colour() -> None:
    whole = torch.zeros(3, 32, 32)
    whole[:, :, 16:] = 1
    found = find_crop(torch.ones(3, 8, 8), whole)
    assert found.left >= 16
    assert found.apart < 1e-3


@pytest.mark.parametrize("shape", [(4, 41, 8), (4, 8, 57), (3, 8, 8)])
def test_what_is_no_part_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="no part of a picture"):
        find_crop(torch.zeros(shape), picture())
