"""Where random numbers come from, and how many are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
import torch

from ilvr_latent import InputError, RecordedNoise, SeededNoise
from ilvr_latent.diffusion.noise import HeldNoise, ReferenceNoise

if TYPE_CHECKING:
    from tests.conftest import CountedNoise

SHAPE = (3, 2, 4, 4)


def test_equal_seeds_give_equal_streams_and_others_do_not() -> None:
    a, b, other = SeededNoise(7), SeededNoise(7), SeededNoise(8)
    for draw in ("initial", "step", "reference"):
        arguments = (SHAPE,) if draw == "initial" else (0, SHAPE)
        first = getattr(a, draw)(*arguments)
        assert first.shape == SHAPE
        assert torch.equal(first, getattr(b, draw)(*arguments))
        assert not torch.equal(first, getattr(other, draw)(*arguments))


def test_the_stream_of_a_picture_serves_all_draws_in_the_order_they_are_asked() -> None:
    noise = SeededNoise(3)
    streams = [torch.Generator().manual_seed(3 + k) for k in range(SHAPE[0])]
    for drawn in (noise.initial(SHAPE), noise.step(0, SHAPE), noise.reference(0, SHAPE)):
        for picture, stream in zip(drawn, streams, strict=True):
            assert torch.equal(picture, torch.randn(SHAPE[1:], generator=stream))


def test_with_a_seed_for_each_picture_the_batch_does_not_matter() -> None:
    together = SeededNoise([5, 6, 7])
    alone = [SeededNoise([seed]) for seed in (5, 6, 7)]
    for _ in range(2):
        drawn = together.initial(SHAPE)
        for k, noise in enumerate(alone):
            assert torch.equal(drawn[k : k + 1], noise.initial((1, *SHAPE[1:])))


def test_a_batch_of_one_is_the_same_with_a_list_of_one_seed() -> None:
    shape = (1, *SHAPE[1:])
    assert torch.equal(SeededNoise(9).initial(shape), SeededNoise([9]).initial(shape))


@pytest.mark.parametrize("seed", [-1, 2**64 - 1, 2**70, 0])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    assert torch.equal(SeededNoise(seed).initial(SHAPE), SeededNoise(seed).initial(SHAPE))


def test_it_is_standard_normal() -> None:
    x = SeededNoise(0).initial((100, 10, 10, 10))
    assert abs(float(x.mean())) < 4 / 100_000**0.5
    assert abs(float(x.var()) - 1) < 4 * (2 / 100_000) ** 0.5


def test_seeds_must_be_as_many_as_pictures() -> None:
    with pytest.raises(InputError, match="2 seeds for a batch of 3"):
        SeededNoise([1, 2]).initial(SHAPE)


def test_recorded_noise_gives_back_what_was_written_down() -> None:
    x_T, z, reference = torch.randn(3, 1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    noise = RecordedNoise(x_T, [z, 2 * z], {1: reference})
    for got, wanted in (
        (noise.initial(SHAPE), x_T),
        (noise.step(1, SHAPE), 2 * z),
        (noise.step(0, SHAPE), z),
        (noise.reference(1, SHAPE), reference),
    ):
        assert torch.equal(got, wanted.expand(SHAPE))


@pytest.mark.parametrize(
    ("kind", "matched", "draws"),
    [
        ("fresh", 10, 10),
        ("fixed", 10, 1),
        ("hybrid", 10, 6),
        ("hybrid", 1, 1),
        ("hybrid", 2, 1),
        ("fixed", 0, 1),
    ],
)
def test_the_references_noise_is_fresh_up_to_a_point_and_then_held(
    kind: ReferenceNoise, matched: int, draws: int, counted_noise: CountedNoise
) -> None:
    held = HeldNoise(counted_noise, kind, matched)
    drawn = [held(i, SHAPE) for i in range(max(matched, 2))]
    assert counted_noise.asked == [("reference", i) for i in range(draws)]
    for i, noise in enumerate(drawn):
        assert torch.equal(noise, drawn[min(i, draws - 1)])
        if 0 < i < draws:
            assert not torch.equal(noise, drawn[i - 1])


def test_an_unknown_kind_is_refused_with_the_known_ones(counted_noise: CountedNoise) -> None:
    with pytest.raises(InputError) as refused:
        HeldNoise(counted_noise, "frozen", 5)  # type: ignore[arg-type]
    assert all(repr(kind) in str(refused.value) for kind in ("frozen", *get_args(ReferenceNoise)))
