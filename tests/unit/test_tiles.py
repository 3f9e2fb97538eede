"""Windows of a large picture, blended."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import InputError, SeededNoise, TiledDenoiser, Tiles, load_embedded, sample_with
from ilvr_latent.diffusion.tiles import Place

SIZES = [(64, 64), (64, 100), (97, 65), (128, 128), (20, 200), (65, 64)]


def says_nothing_new(windows: Tensor, places: Sequence[Place]) -> Tensor:
    return windows


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_windows_cover_the_picture_and_overlap_as_much_as_asked(
    height: int, width: int, overlap: float
) -> None:
    places = Tiles(64, 64, overlap).places((1, 3, height, width))
    seen = torch.zeros(height, width)
    for rows, columns in places:
        assert (rows.stop - rows.start, columns.stop - columns.start) == (
            min(64, height),
            min(64, width),
        )
        seen[rows, columns] += 1
    assert bool((seen > 0).all())
    for axis in (0, 1):
        starts = sorted({place[axis].start for place in places})
        assert all(
            64 - (after - before) >= int(64 * overlap)
            for before, after in itertools.pairwise(starts)
        )


def test_side_by_side_is_the_fewest_windows() -> None:
    assert len(Tiles(64, 64, 0.0).places((128, 128))) == 4
    assert len(Tiles(64, 64, 0.5).places((128, 128))) == 9


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_what_changes_nothing_in_a_window_changes_nothing(
    height: int, width: int, at_once: int
) -> None:
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(Tiles(64, 64).blended(x, says_nothing_new, at_once), x, atol=1e-6)


def test_what_looks_at_single_places_is_the_same_in_windows_as_in_the_whole() -> None:
    x = torch.randn(2, 4, 5, 30, 40, generator=torch.Generator().manual_seed(0))
    blended = Tiles(16, 12).blended(x, lambda windows, _: torch.tanh(windows[:, :2]))
    assert torch.allclose(blended, torch.tanh(x[:, :2]), atol=1e-6)


def test_windows_are_shown_by_place_and_the_answers_put_where_they_belong() -> None:
    x = torch.randn(3, 1, 32, 48, generator=torch.Generator().manual_seed(0))

    def of_the_place(windows: Tensor, places: Sequence[Place]) -> Tensor:
        at = torch.cat([x[..., rows, columns] for rows, columns in places])
        assert torch.equal(windows, at)
        return at.square()

    assert torch.allclose(Tiles(16, 16).blended(x, of_the_place, 2), x.square(), atol=1e-5)


def largest_step(overlap: float) -> float:
    """Of windows whose answers have nothing to do with each other."""
    numbers = iter(torch.randn(100, generator=torch.Generator().manual_seed(0)).tolist())
    blended = Tiles(32, 32, overlap).blended(
        torch.zeros(1, 1, 96, 96), lambda windows, _: windows + next(numbers)
    )
    return max(float(blended.diff(dim=axis).abs().max()) for axis in (-2, -1))


def test_no_place_goes_from_one_window_to_the_next_in_a_step() -> None:
    assert largest_step(0.5) < 0.1 * largest_step(0.0)


@dataclass
class Recorder:
    """A network that notes what it is shown."""

    config: Any
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    shown: list[tuple[tuple[int, ...], list[int], list[int]]] = field(default_factory=list)

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        assert y is not None
        self.shown.append((tuple(x.shape), t.tolist(), y.tolist()))
        return x * y.view(-1, 1, 1, 1)


def test_each_window_keeps_the_class_of_its_picture_and_the_network_sees_few_at_once() -> None:
    network = Recorder(None)
    tiled = TiledDenoiser(network, Tiles(16, 16), batch=4)
    x = torch.ones(2, 3, 32, 32)
    out = tiled(x, torch.tensor([7, 7]), torch.tensor([2, 5]))
    assert torch.allclose(out, x * torch.tensor([2.0, 5.0]).view(2, 1, 1, 1))
    assert all(shape == (4, 3, 16, 16) or shape[0] == 2 for shape, _, _ in network.shown)
    assert sum(shape[0] for shape, _, _ in network.shown) == 18


def test_a_picture_of_the_networks_own_size_is_sampled_as_without_windows() -> None:
    model = load_embedded()
    shape = (1, 3, 64, 64)
    plain, tiled = (
        sample_with(one, None, shape=shape, steps=2, noise=SeededNoise(0))
        for one in (model, TiledDenoiser(model, Tiles(64, 64)))
    )
    assert torch.equal(plain, tiled)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"height": 0, "width": 8}, "window of 8x0"),
        ({"height": 8, "width": 8, "overlap": 1.0}, "overlap is 1"),
        ({"height": 8, "width": 8, "overlap": float("nan")}, "overlap is nan"),
    ],
)
def test_what_cannot_be_used_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Tiles(**settings)
