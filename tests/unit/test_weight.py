"""A weight that changes over the range: what it is where, and what it does to a sample."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ilvr_latent import InputError, LowPass, Reference, Schedule, WeightSchedule, Window
from ilvr_latent.diffusion import Run as GuidedRun
from ilvr_latent.diffusion import SeededNoise
from ilvr_latent.guides.ilvr import Space
from ilvr_latent.guides.weight import Easing, parse_weight

Run = Callable[..., Tensor]
SPACES: tuple[Space, ...] = ("state", "prediction")
EASINGS: tuple[Easing, ...] = ("linear", "cosine")
SHARES = st.floats(0, 1, allow_subnormal=False)


@st.composite
def schedules(draw: st.DrawFn) -> WeightSchedule:
    places = sorted(draw(st.lists(st.integers(0, 100), min_size=1, max_size=6)))
    points = tuple((place / 100, draw(SHARES)) for place in places)
    return WeightSchedule(points, draw(st.sampled_from(EASINGS)))


@given(schedules(), SHARES)
def test_a_weight_stays_between_its_points(schedule: WeightSchedule, progress: float) -> None:
    weights = [weight for _, weight in schedule.points]
    assert min(weights) - 1e-12 <= schedule(progress) <= max(weights) + 1e-12


@given(schedules())
def test_a_weight_goes_through_its_points(schedule: WeightSchedule) -> None:
    last_at = dict(schedule.points)
    for progress, weight in last_at.items():
        assert schedule(progress) == pytest.approx(weight)
    assert schedule(-1) == schedule.points[0][1]
    assert schedule(2) == schedule.points[-1][1]


@given(SHARES, SHARES, SHARES)
def test_the_ramps_are_their_formulas(start: float, end: float, p: float) -> None:
    linear, cosine = (WeightSchedule.ramp(start, end, easing)(p) for easing in EASINGS)
    assert linear == pytest.approx(start + (end - start) * p)
    assert cosine == pytest.approx(start + (end - start) * (1 - math.cos(math.pi * p)) / 2)


@given(schedules())
def test_what_is_printed_can_be_read(schedule: WeightSchedule) -> None:
    again = WeightSchedule.parse(str(schedule), schedule.easing)
    for progress in (0, 0.3, 0.55, 1):
        # Printed with six digits; right at a jump the place is what counts.
        assert again(progress) == pytest.approx(schedule(progress), abs=1e-5)


@given(schedules(), SHARES, SHARES)
def test_scaling_scales_every_weight(schedule: WeightSchedule, factor: float, p: float) -> None:
    assert schedule.scaled(factor)(p) == pytest.approx(factor * schedule(p))


def test_two_points_at_one_place_are_a_jump() -> None:
    schedule = WeightSchedule.parse("0:1, 0.5:1, 0.5:0, 1:0")
    assert [schedule(p) for p in (0.0, 0.49, 0.5, 1.0)] == [1, 1, 0, 0]
    assert [schedule(p) for p in (0.0, 1.0)] == [1, 0]


@pytest.mark.parametrize("text", ["1", "0", " 0.25 ", "1e-1"])
def test_a_number_is_a_constant_weight(text: str) -> None:
    assert parse_weight(text) == float(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "point '' cannot be read"),
        ("0:1,", "point '' cannot be read"),
        ("0:1; 1:0", "point '0:1; 1:0' cannot be read"),
        ("0:1, half:0", "point 'half:0' cannot be read"),
        ("0:1, 1:0:1", "point '1:0:1' cannot be read"),
        ("__import__('os')", "cannot be read"),
        ("0:2", r"weight is 2.0; use a number from 0 \(off\) to 1"),
        ("0:nan", "weight is nan"),
        ("nan:1", "point of the weight is at nan"),
        ("0:1, 1.5:0", "point of the weight is at 1.5"),
        ("0.8:1, 0.2:0", "point at 0.2 comes after the one at 0.8"),
        ("2", "weight is 2.0"),
    ],
)
def test_what_is_no_weight_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as refusal:
        parse_weight(text)
    assert str(refusal.value).count(". ") == 0


def test_no_points_and_unknown_easings_are_refused() -> None:
    with pytest.raises(InputError, match="no points"):
        WeightSchedule(())
    with pytest.raises(InputError, match="'bounce'"):
        WeightSchedule(((0, 1),), "bounce")  # type: ignore[arg-type]


def run_of(schedule: Schedule) -> GuidedRun:
    return GuidedRun(schedule, (1, 3, 8, 8), torch.device("cpu"), SeededNoise(0))


@pytest.mark.parametrize(
    "window", [Window(), Window.timesteps(999, 0), Window.steps(0, 9)], ids=lambda w: w.unit
)
def test_the_weight_runs_over_the_window_whatever_its_unit(window: Window) -> None:
    schedule = Schedule("linear", 1000, "10")
    reference = Reference(torch.zeros(1, 3, 8, 8), 2, window, WeightSchedule.ramp(1, 0.1))
    weights = reference.step_weights(run_of(schedule))
    assert list(weights) == list(range(10))
    assert list(weights.values()) == pytest.approx([1 - 0.1 * i for i in range(10)])


def test_a_window_of_one_step_has_the_weight_of_the_start() -> None:
    schedule = Schedule("linear", 1000, "10")
    for window in (Window.steps(3, 3), Window.timesteps(888, 888)):
        reference = Reference(torch.zeros(1, 3, 8, 8), 2, window, WeightSchedule.ramp(0.7, 0.1))
        assert list(reference.step_weights(run_of(schedule)).values()) == [0.7]


@pytest.mark.parametrize("space", SPACES)
def test_a_schedule_of_one_weight_is_that_weight(run: Run, y_0: Tensor, space: Space) -> None:
    for weight in (0.0, 0.6, 1.0):
        constant = run(Reference(y_0, 4, weight=weight), space=space)
        schedule = WeightSchedule.ramp(weight, weight)
        assert torch.equal(run(Reference(y_0, 4, weight=schedule), space=space), constant)
    assert torch.equal(run(Reference(y_0, 4, weight=WeightSchedule.ramp(0, 0))), run(None))


@pytest.mark.parametrize("space", SPACES)
def test_a_weight_that_falls_to_zero_is_a_window_that_ends(
    run: Run, y_0: Tensor, space: Space
) -> None:
    """Steps of weight 0 draw no noise, so the rest of the run is the same to the bit."""
    falls = WeightSchedule.parse("0:1, 0.5:1, 0.5:0, 1:0")
    scheduled = run(Reference(y_0, 4, Window.steps(0, 7), falls), space=space)
    assert torch.equal(scheduled, run(Reference(y_0, 4, Window.steps(0, 3)), space=space))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("easing", EASINGS)
def test_a_falling_weight_follows_less_than_none_and_more_than_nothing(
    run: Run, y_0: Tensor, space: Space, easing: Easing
) -> None:
    phi = LowPass(4, "box")
    residual = [
        float((phi(run(Reference(y_0, 4, weight=w, kernel="box"), space=space)) - phi(y_0)).norm())
        for w in (1.0, WeightSchedule.ramp(1, 0.5, easing), WeightSchedule.ramp(1, 0, easing), 0.0)
    ]
    assert all(a < b for a, b in itertools.pairwise(residual))
