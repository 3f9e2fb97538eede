"""Plots: what is drawn is at its place."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ilvr_latent.guides.recorder import Recording
from ilvr_latent.pictures.plot import BLUE, Line, Scale, Span, line_plot, runs, ticks
from ilvr_latent.pictures.recording_plot import figure


def blue(*points: tuple[float, float], log: bool = False) -> tuple[NDArray[np.intp], ...]:
    """Rows and columns of the pixels of a line in a plot without a legend for it."""
    scale = Scale("", log)
    picture = np.asarray(line_plot([Line("", points, BLUE)], scale, scale)).astype(int)
    found = np.nonzero(abs(picture - np.array(BLUE)).sum(-1) < 60)
    inside = found[0] > 60
    return found[0][inside], found[1][inside]


@pytest.mark.parametrize("log", [False, True])
def test_a_rising_line_rises_and_a_falling_one_falls(log: bool) -> None:
    for sign in (1, -1):
        ends = [(1.0, 1.0), (10.0, 10.0)] if sign > 0 else [(1.0, 10.0), (10.0, 1.0)]
        rows, columns = blue(*ends, log=log)
        assert np.corrcoef(rows, columns)[0, 1] * sign < -0.99


def test_on_a_log_scale_a_power_is_straight() -> None:
    points = [(x, x**-2) for x in (1.0, 2.0, 5.0, 10.0, 30.0, 100.0)]
    rows, columns = blue(*points, log=True)
    slope = np.polyfit(columns, rows, 1)
    assert np.abs(np.polyval(slope, columns) - rows).max() < 3


def test_what_has_no_place_is_left_out() -> None:
    good = [(1.0, 1.0), (2.0, 3.0)]
    bad = [(3.0, math.nan), (4.0, math.inf), (5.0, 0.0), (0.0, 1.0)]
    for a, b in zip(blue(*good, log=True), blue(*good, *bad, log=True), strict=True):
        np.testing.assert_array_equal(a, b)
    blue()
    blue((1.0, 1.0))
    blue((1.0, 1.0), log=True)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_ticks_are_few_round_and_inside(low: float, span: float, log: bool) -> None:
    if log:
        low = abs(low) + 1e-6
    found = ticks(low, low + span, log)
    assert found == sorted(found)
    assert len(found) <= 15
    slack = 1e-6 * (abs(low) + span)
    assert all(low - slack <= value <= low + span + slack for value in found)
    if not log and span > 1e-3 * abs(low):
        assert len(found) >= 3


def test_a_span_is_marked_only_where_it_is() -> None:
    line = Line("", [(0.0, 0.0), (10.0, 1.0)], BLUE)
    scale = Scale("")

    def plot(*ends: tuple[float, float]) -> NDArray[np.uint8]:
        return np.asarray(line_plot([line], scale, scale, span=Span("", ends) if ends else None))

    changed = (plot() != plot((0.0, 5.0))).any(-1)[70:280]
    columns = np.nonzero(changed.any(0))[0]
    assert columns.max() < 64 + (480 - 64 - 18) / 2 + 3
    assert (plot() == plot((20.0, 30.0)))[60:].all()


def test_unbroken_runs() -> None:
    assert runs((0, 1, 2, 5, 7, 8)) == [(0, 2), (5, 5), (7, 8)]
    assert runs(()) == []


def test_a_report_of_any_run_can_be_drawn() -> None:
    empty = Recording(4.0, 1, {1: 0.5}, (), (0.0,), (1.0,), (1.0,), (1.0,))
    full = Recording(2.5, 3, {0: 1.0, 2: 0.0, 3: 0.0}, (0, 2, 3), (0.0, 0.25), *[(0.0, 1.0)] * 3)
    for recording in (empty, full):
        for without in (None, empty):
            assert figure(recording, without).size == (960, 340)
    assert figure(full).tobytes() == figure(full).tobytes()
    assert figure(full).tobytes() != figure(full, empty).tobytes()
