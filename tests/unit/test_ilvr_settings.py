"""Windows and references: which steps they name, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ilvr_latent import ILVR, InputError, Reference, Schedule, Window, sample

IMAGE = torch.zeros(1, 3, 16, 16)


def matched(window: Window, schedule: Schedule) -> list[int]:
    return sorted(Reference(IMAGE, 4, window).matched_steps(schedule))


@given(st.sampled_from(["", "100", "ddim50", "7", "10,10,5"]), st.data())
def test_steps_timesteps_and_fractions_name_the_same_steps(steps: str, data: st.DataObject) -> None:
    schedule = Schedule("linear", 1000, steps)
    first = data.draw(st.integers(0, len(schedule) - 1))
    last = data.draw(st.integers(first, len(schedule) - 1))
    t = [step.t for step in schedule.steps]
    wanted = list(range(first, last + 1))
    assert matched(Window.steps(first, last), schedule) == wanted
    assert matched(Window.timesteps(t[first], t[last]), schedule) == wanted
    # Half a timestep to either side, to be clear of rounding.
    start, end = max(0.0, 1 - (t[first] + 0.5) / 999), min(1.0, 1 - (t[last] - 0.5) / 999)
    assert matched(Window(start, end), schedule) == wanted


@given(st.integers(1, 300))
def test_the_default_window_holds_every_step(count: int) -> None:
    schedule = Schedule("cosine", 1000, count)
    assert matched(Window(), schedule) == list(range(count))


def test_a_fraction_counts_timesteps_from_the_noisy_end() -> None:
    schedule = Schedule("linear", 1000, "10")  # 999, 888, ..., 0
    assert matched(Window(0, 0.5), schedule) == [0, 1, 2, 3, 4]
    assert matched(Window(0.5, 1), schedule) == [5, 6, 7, 8, 9]
    assert matched(Window.timesteps(1000, 250), schedule) == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Window(0.8, 0.2), "starts at 0.8 and ends at 0.2"),
        (lambda: Window(0.5, 0.5), "starts at 0.5 and ends at 0.5"),
        (lambda: Window(-0.1, 1), "starts at -0.1"),
        (lambda: Window(0, 1.01), "ends at 1.01"),
        (lambda: Window(math.nan, 1), "starts at nan"),
        (lambda: Window(0, math.nan), "ends at nan"),
        (lambda: Window.timesteps(200, 1000), "timestep 200 down to 1000"),
        (lambda: Window.timesteps(200, -1), "none below 0"),
        (lambda: Window.steps(5, 2), "step 5 to step 2"),
        (lambda: Window.steps(-1, 2), "step -1 to step 2"),
        (lambda: Reference(IMAGE, 0.5), "factor N is 0.5"),
        (lambda: Reference(IMAGE, math.nan), "factor N is nan"),
        (lambda: Reference(IMAGE, 4, kernel="sharp"), "kernel is 'sharp'"),  # type: ignore[arg-type]
        (lambda: Reference(IMAGE, 4, weight=1.5), "weight is 1.5"),
        (lambda: Reference(IMAGE, 4, weight=-0.5), "weight is -0.5"),
        (lambda: Reference(IMAGE, 4, weight=math.nan), "weight is nan"),
        (lambda: Reference(IMAGE[0], 4), r"shape \(3, 16, 16\)"),
        (lambda: Reference(IMAGE.byte(), 4), r"torch\.uint8"),
        (lambda: Reference(IMAGE / 0, 4), "NaN or infinite"),
        (lambda: Reference(IMAGE + math.inf, 4), "NaN or infinite"),
        (lambda: Reference(IMAGE, 4, mask=IMAGE + 2), r"outside \[0, 1\]"),
        (lambda: Reference(IMAGE, 4, mask=IMAGE / 0), r"outside \[0, 1\]"),
        (lambda: Reference(IMAGE, 4, mask=torch.zeros(1, 1, 16, 16)), "mask is empty"),
        (lambda: ILVR([]), "no reference"),
        (lambda: ILVR(Reference(IMAGE, 4), space="latent"), "space is 'latent'"),  # type: ignore[arg-type]
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_at_once(
    make: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("reference", "shape", "sentence"),
    [
        (Reference(IMAGE, 4, Window(0.05, 0.06)), (1, 3, 16, 16), "holds none of the 4 steps"),
        (Reference(IMAGE, 4, Window.steps(4, 9)), (1, 3, 16, 16), "step 4 to 9 holds none"),
        (Reference(IMAGE[:, :1], 4), (1, 3, 16, 16), r"\(1, 1, 16, 16\).*\(1, 3, 16, 16\)"),
        (Reference(IMAGE[..., :8], 4), (1, 3, 16, 16), r"\(1, 3, 16, 8\).*resize"),
        (Reference(IMAGE.repeat(2, 1, 1, 1), 4), (3, 3, 16, 16), "2 reference images .* of 3"),
        (Reference(IMAGE, 4, mask=torch.ones(1, 1, 8, 8)), (1, 3, 16, 16), r"mask has shape"),
        (Reference(IMAGE, 4, mask=torch.ones(2, 1, 16, 16)), (1, 3, 16, 16), r"mask has shape"),
    ],
)
def test_a_reference_that_does_not_fit_is_refused_before_the_network_is_called(
    reference: Reference, shape: tuple[int, ...], sentence: str, exact: Callable[..., Any]
) -> None:
    model = exact()
    with pytest.raises(InputError, match=sentence):
        sample(model, reference, shape=shape, steps=4)
    assert not model.seen


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_serves_as_a_reference(
    dtype: torch.dtype, exact: Callable[..., Any], some_pictures: Callable[..., Tensor]
) -> None:
    y_0 = some_pictures(1, seed=9).to(dtype)
    out = sample(exact(), Reference(y_0, 4), steps=3)
    assert out.dtype == torch.float32
    torch.testing.assert_close(
        out, sample(exact(), Reference(y_0.float(), 4), steps=3), rtol=0, atol=1e-6
    )
