"""The reference's noise: when it is drawn, how often, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from torch import Tensor

from ilvr_latent import Reference, Window
from ilvr_latent.diffusion.noise import ReferenceNoise

if TYPE_CHECKING:
    from tests.conftest import CountedNoise

Run = Callable[..., Tensor]
Pictures = Callable[..., Tensor]


def draws(noise: CountedNoise) -> list[int]:
    return [i for what, i in noise.asked if what == "reference"]


@pytest.mark.parametrize(
    ("reference_noise", "window", "drawn"),
    [
        # The last step is matched with the clean reference, which needs no noise.
        ("fresh", Window(), [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("hybrid", Window(), [0, 1, 2, 3, 4, 5]),
        ("fixed", Window(), [0]),
        ("fresh", Window.steps(2, 6), [2, 3, 4, 5, 6]),
        ("hybrid", Window.steps(2, 6), [2, 3, 4]),
        ("fixed", Window.steps(2, 6), [2]),
    ],
)
def test_noise_is_drawn_for_matched_steps_only_and_as_often_as_its_kind_says(
    run: Run,
    y_0: Tensor,
    reference_noise: ReferenceNoise,
    window: Window,
    drawn: list[int],
    counted_noise: CountedNoise,
) -> None:
    reference = Reference(y_0, 4, window)
    run(reference, steps=10, noise=counted_noise, reference_noise=reference_noise)
    assert draws(counted_noise) == drawn


def test_two_references_share_one_noise(
    run: Run, some_pictures: Pictures, counted_noise: CountedNoise
) -> None:
    a, b = some_pictures(2, seed=9)[:, None]
    both = [Reference(a, 4, Window.steps(0, 3)), Reference(b, 4, Window.steps(2, 5))]
    run(both, noise=counted_noise)
    assert draws(counted_noise) == [0, 1, 2, 3, 4, 5]


def test_matching_the_prediction_needs_no_noise(
    run: Run, y_0: Tensor, counted_noise: CountedNoise
) -> None:
    run(Reference(y_0, 4), space="prediction", noise=counted_noise)
    assert draws(counted_noise) == []


@pytest.mark.parametrize("compat", [None, "ilvr_adm"])
def test_numbers_are_drawn_in_the_order_of_the_authors_code(
    run: Run, y_0: Tensor, compat: str | None, counted_noise: CountedNoise
) -> None:
    run(Reference(y_0, 4), steps=3, compat=compat, noise=counted_noise)
    order = ["x_T", "z", "reference", "z", "reference", "z"]
    assert [what for what, _ in counted_noise.asked] == order


def test_the_authors_range_stops_before_the_last_steps(
    run: Run, y_0: Tensor, counted_noise: CountedNoise
) -> None:
    reference = Reference(y_0, 4, Window.steps(7, 7))  # range_t takes the window's place
    run(reference, compat="ilvr_adm", range_t=3, noise=counted_noise)
    assert draws(counted_noise) == [0, 1, 2, 3]
