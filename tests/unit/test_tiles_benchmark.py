"""What the benchmark of tiles stands on: its measures, and DemoFusion's blend."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.jackknife import standard_error
from benchmarks.tiles.measures import borders, crops, fine_power, off_the_small, seam
from benchmarks.tiles.ways import SkipResidual
from ilvr_latent import LowPass, Run, Schedule, SeededNoise, Tiles

TILES = Tiles(32, 32, 0.0)


def noise(seed: int = 0, count: int = 8) -> Tensor:
    return torch.randn(count, 3, 64, 96, generator=torch.Generator().manual_seed(seed))


def test_borders_are_where_windows_begin_or_end_inside_the_picture() -> None:
    assert borders(TILES, (1, 3, 64, 96)) == ([32], [32, 64])
    assert borders(Tiles(32, 32, 0.5), (1, 3, 64, 64)) == ([16, 32, 48], [16, 32, 48])


def test_without_seams_the_ratio_is_one_whatever_is_drawn() -> None:
    still = torch.zeros(8, 3, 64, 96)
    smooth = torch.nn.functional.avg_pool2d(noise(count=32), 5, stride=1, padding=2)
    assert seam(noise(), still, TILES, 8).here == pytest.approx(1, abs=0.05)
    assert seam(smooth, torch.zeros_like(smooth), TILES, 8).here == pytest.approx(1, abs=0.1)
    # Edges of the small picture itself do not count.
    edges = torch.zeros(8, 3, 64, 96)
    edges[..., 32:] = 1
    assert seam(noise() + edges, edges, TILES, 8).here == pytest.approx(1, abs=0.05)


def test_tiles_that_have_nothing_to_do_with_each_other_have_seams() -> None:
    made = torch.zeros(32, 3, 64, 96)
    for k, (rows, columns) in enumerate(TILES.places(made.shape)):
        smooth = torch.nn.functional.avg_pool2d(noise(k, 32), 5, stride=1, padding=2)
        made[..., rows, columns] = smooth[..., rows, columns]
    found = seam(made, torch.zeros_like(made), TILES, 8)
    assert found.here > 2
    assert found.elsewhere == pytest.approx(1, abs=0.1)
    assert 0 < found.error < 0.5


def test_cells_that_a_decoder_draws_are_seen_elsewhere_too() -> None:
    cells = noise()[..., ::8, ::8].repeat_interleave(8, -1).repeat_interleave(8, -2)
    found = seam(cells + 0.1 * noise(), torch.zeros(8, 3, 64, 96), TILES, 8)
    assert found.here > 5
    assert found.elsewhere == pytest.approx(found.here, rel=0.1)


def test_the_standard_error_of_a_mean_is_the_usual_one() -> None:
    values = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = standard_error(20, lambda kept: float(values[list(kept)].mean()))
    assert found == pytest.approx(float(values.std()) / 20**0.5)


def test_crops_cover_the_picture_in_half_steps() -> None:
    assert crops(noise(), 32).shape == (8 * 15, 3, 32, 32)


def test_power_and_faithfulness_are_those_of_the_true_picture() -> None:
    x = noise()
    assert fine_power(x, x, 2) == pytest.approx(1)
    assert fine_power(LowPass(2, "spectral")(x), x, 2) < 0.2
    assert off_the_small(x + 0.1, x, 2) == pytest.approx(12.75, abs=0.01)


def test_the_blend_begins_at_the_reference_and_lets_go() -> None:
    schedule = Schedule("linear", 1000, 11)
    y_0, x = noise(1, 1), noise(2, 1)
    run = Run(schedule, y_0.shape, torch.device("cpu"), SeededNoise(0))
    guide = SkipResidual(y_0).begin(run)
    eps = SeededNoise(0).reference(0, y_0.shape)
    first, middle, last = (schedule.steps[k] for k in (0, 5, 10))
    assert torch.allclose(guide.state(x, first), first.noised(y_0, eps), atol=1e-5)
    assert torch.equal(guide.state(x, last), x)
    c = 0.5**3
    wanted = c * middle.noised(y_0, eps) + (1 - c) * x
    assert torch.allclose(guide.state(x, middle), wanted, atol=0.01)
