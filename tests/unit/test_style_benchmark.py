"""What the benchmark of style measures by, and that its ways are what they are called."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchmarks.style.measures import Measures
from benchmarks.style.tables import COLOURS, OTHERS, OURS, Record, curves, lowest, tables
from benchmarks.style.ways import WAYS
from ilvr_latent import recolour
from ilvr_latent.metrics.imagenet import ImageNetNetwork

Pictures = Callable[..., Tensor]


@pytest.fixture(scope="module")
def measures() -> Measures:
    """Of a network with random weights: what holds then is not for what it has learned."""
    torch.manual_seed(0)
    return Measures(ImageNetNetwork().eval().requires_grad_(False))


@pytest.fixture
def shapes() -> Tensor:
    """A red square on grey, left of the middle."""
    picture = torch.zeros(1, 3, 32, 32)
    picture[:, 0, 8:24, 4:14] = 1
    return picture


def test_a_picture_is_at_no_distance_from_itself(measures: Measures, shapes: Tensor) -> None:
    for measure in (measures.structure, measures.style, measures.patches):
        assert float(measure(shapes, shapes)) == pytest.approx(0, abs=1e-6)


def test_places_are_structure_and_no_style(measures: Measures, shapes: Tensor) -> None:
    moved, blue = shapes.roll(14, -1), shapes.flip(1)
    assert measures.structure(moved, shapes) > 2 * measures.structure(blue, shapes)
    assert measures.style(blue, shapes) > 2 * measures.style(moved, shapes)
    assert measures.patches(blue, shapes) > 2 * measures.patches(moved, shapes)


def test_every_way_has_a_start_or_a_guide_for_all_its_values(some_pictures: Pictures) -> None:
    a, b = some_pictures(1, seed=1).float(), some_pictures(1, seed=2).float()
    for way in WAYS:
        assert way.shown is None or way.shown in way.values
        setups = [way.setup(a, b, value) for value in way.values]
        assert all(one.guide is not None or one.start is not None for one in setups)
        recoloured = [one.start for one in setups if one.start is not None and way.name != "SDEdit"]
        assert all(torch.equal(start, recolour(a, b)) for start in recoloured)


def test_every_row_has_a_name_of_its_own_and_every_curve_a_colour() -> None:
    rows = [(way.name, way.text(value)) for way in WAYS for value in way.values]
    assert len(set(rows)) == len(rows)
    assert len({way.name for way in WAYS}) <= len(set(COLOURS)) == len(COLOURS)
    assert set(OURS) | set(OTHERS) <= {way.name for way in WAYS}


def test_tables_and_curves_have_every_record() -> None:
    found: list[Record] = [
        {
            "table": "a model",
            "way": way,
            "knob": knob,
            "structure": 0.1,
            "style": 0.2,
            "patches": 0.3,
            "seconds": seconds,
        }
        for way, knob, seconds in (("A itself", "", None), ("ILVR", "N = 1/4", 1.5))
    ]
    written = tables(found)
    assert "| A itself |  | 0.100 | 0.200 | 0.300 |  |" in written
    assert "| ILVR | N = 1/4 | 0.100 | 0.200 | 0.300 | 1.50 |" in written
    assert len(curves(found)) == 1
    assert curves(found[:1]) == []


def test_at_the_same_structure_the_way_between_two_points_counts() -> None:
    points = [(0.1, 0.8), (0.2, 0.4)]
    assert lowest(points, 0.05) is None
    assert lowest(points, 0.1) == 0.8
    assert lowest(points, 0.15) == pytest.approx(0.6)
    assert lowest(points, 0.3) == 0.4
