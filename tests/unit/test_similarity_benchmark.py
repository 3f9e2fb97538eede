"""What the calibration stands on: a rising curve, its inverse, and an exact denoiser."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

# The photographs come with scikit-image.
pytest.importorskip("skimage")

from benchmarks.similarity import measure
from benchmarks.similarity.__main__ import OF_ONE_CELL, positions
from benchmarks.similarity.exact import Exact, Repacked, packed, unpacked
from benchmarks.similarity.measure import Bench, Distances, Found, inverted, rising
from ilvr_latent.similarity import Dial, at_position

SIDE = 8


def latents(count: int, seed: int) -> Tensor:
    """Few smooth pictures of two channels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 2, 2, 2, generator=generator)
    return torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")


def test_a_rising_curve_stays_and_falling_neighbours_meet_at_their_mean() -> None:
    points = [(0.0, 0.0), (1.0, 10.0), (2.0, 40.0)]
    assert rising(points) == points
    fallen = [(0.0, 0.0), (1.0, 30.0), (2.0, 20.0), (3.0, 50.0)]
    assert rising(fallen) == [(0.0, 0.0), (1.0, 25.0), (2.0, 25.0), (3.0, 50.0)]


def test_a_level_stretch_does_not_move_what_lies_before_and_behind_it() -> None:
    points = [(2.0, 60.0), (3.0, 80.0), (4.0, 80.0), (5.0, 90.0), (7.0, 100.0)]
    found = inverted(points, (70, 80, 85))
    assert found == [(70, 2.5), (80, 3.0), (85, 4.5)]


def test_the_inverse_leads_from_free_to_held_and_through_what_was_measured() -> None:
    points = [(0.4, -2.0), (1.0, 20.0), (2.0, 18.0), (3.0, 60.0), (7.0, 100.0)]
    found = inverted(points, range(0, 101, 10))
    assert found[0] == (0, 0.0)
    assert found[-1] == (100, 7.0)
    assert dict(found)[60] == 3.0
    assert all(a[1] < b[1] for a, b in itertools.pairwise(found))


def test_the_denoiser_is_the_mean_of_what_the_state_may_have_come_from() -> None:
    """By the formula, component by component, of a state that two pictures explain alike."""
    x_0 = latents(3, 0)
    model = Exact(x_0, spread=0.5)
    t = torch.tensor([600])
    a = float(model.a_bar[600])
    x = math.sqrt(a) * (x_0[:1] + x_0[1:2]) / 2
    logs, means = [], []
    variance = a * model.power + 1 - a
    for m in x_0[:, None]:
        away = model._seen(x - math.sqrt(a) * m)
        logs.append(-(away.square() / variance).sum() / 2)
        means.append(m + model._back(math.sqrt(a) * model.power / variance * away))
    r = torch.stack(logs).softmax(0)
    expected = sum(weight * mean for weight, mean in zip(r, means, strict=True))
    assert torch.allclose(model(x, t), expected, atol=1e-4)


def test_without_spread_it_ends_at_one_of_the_pictures() -> None:
    x_0 = latents(5, 1)
    model = Exact(x_0, spread=0.0)
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(2))
    a = float(model.a_bar[100])
    x = math.sqrt(a) * x_0 + math.sqrt(1 - a) * noise
    assert torch.allclose(model(x, torch.full((5,), 100)), x_0, atol=1e-3)


def test_repacked_it_is_the_same_model() -> None:
    x, model = latents(4, 3), Exact(latents(6, 4))
    assert torch.equal(unpacked(packed(x)), x)
    t = torch.full((4,), 500)
    assert torch.equal(unpacked(Repacked(model, packed, unpacked)(packed(x), t)), model(x, t))


class Flat:
    """A model whose pictures go to the reference as the weight rises."""

    cell, side = 1, 4

    def __init__(self) -> None:
        self.calls = 0

    def shown(self, references: Tensor) -> Tensor:
        return references

    def made(self, references: Tensor, dial: Dial | None, seeds: Sequence[int]) -> Tensor:
        self.calls += 1
        assert len(set(seeds)) == len(references)
        return references + (1.0 if dial is None else 1 - dial.weight)


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Flat()
    absolute: Callable[[Tensor, Tensor], Distances] = lambda x, y: [  # noqa: E731
        (x - y).abs().mean((1, 2, 3)).tolist(),
        (2 * (x - y).abs().mean((1, 2, 3))).tolist(),
    ]
    monkeypatch.setattr(measure, "MODELS", {"flat": lambda: model})
    monkeypatch.setattr(measure, "distances", absolute)
    monkeypatch.setattr(measure, "references", lambda which, side: torch.zeros(3, 3, side, side))
    bench = Bench(tmp_path / "measured.json")
    half = bench.found("flat", "check", at_position(0.5))
    assert half.similarities == pytest.approx([12.5] * 4)
    assert half.similarity == pytest.approx(12.5)
    assert half.error == pytest.approx(0, abs=1e-4)
    assert bench.found("flat", "check", at_position(7.0)).similarity == pytest.approx(100.0)
    calls = model.calls
    again = Bench(tmp_path / "measured.json")
    assert again.found("flat", "check", at_position(7.0)).similarities == [100.0] * 4
    assert model.calls == calls == 3


def test_a_similarity_is_as_far_off_as_its_references_are_apart() -> None:
    """Of so many alike it is known; of few that differ it is not."""
    free = [[1.0] * 16, [2.0] * 16]
    alike = Found([[0.5] * 16, [1.0] * 16], free)
    assert (alike.similarity, alike.error) == (50.0, 0.0)
    d = [[0.2, 0.8] * 8, [0.4, 1.6] * 8]
    apart = Found(d, free)
    assert apart.similarity == pytest.approx(50)
    assert apart.error == pytest.approx(30 / 15**0.5)
    assert Found([by[:4] for by in d], [by[:4] for by in free]).error > apart.error


@pytest.mark.parametrize("side", [8, 16, 64])
def test_positions_that_are_measured_rise_and_lie_beside_the_leaps_of_phi(side: int) -> None:
    """phi has a whole number of cells: right where one is added the curve leaps."""
    found = positions(side)
    assert found == sorted(set(found))
    assert sum(at_position(p).share * side <= 1 + 1e-3 for p in found) >= 2
    before = [p for p in found if p < min(OF_ONE_CELL) and at_position(p).share * side > 1.01]
    for p in (p for p in before if p > 1):
        cells = {math.ceil(1 / at_position(q).share - 1e-9) for q in (p - 0.03, p, p + 0.03)}
        assert len(cells) == 1 or p > 2.6
