"""The forward process and its respacing, against formulas written a second time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ilvr_latent import InputError, Schedule
from ilvr_latent.diffusion.reverse import transitions
from ilvr_latent.diffusion.schedule import alphas_cumprod, chosen_timesteps, respaced_timesteps


def guided_diffusion(diffusion_steps: int, counts: list[int]) -> list[int] | None:
    """What space_timesteps of guided-diffusion chooses; ``None`` where it refuses."""
    chosen: set[int] = set()
    start = 0
    for section, count in enumerate(counts):
        length = diffusion_steps // len(counts) + (section < diffusion_steps % len(counts))
        if length < count:
            return None
        stride = 1 if count <= 1 else (length - 1) / (count - 1)
        position = 0.0
        for _ in range(count):
            chosen.add(start + round(position))
            position += stride
        start += length
    return sorted(chosen)


def guided_diffusion_ddim(diffusion_steps: int, count: int) -> list[int] | None:
    for stride in range(1, diffusion_steps):
        if len(range(0, diffusion_steps, stride)) == count:
            return list(range(0, diffusion_steps, stride))
    return None


def check(diffusion_steps: int, steps: str, wanted: list[int] | None) -> None:
    if wanted is None:
        with pytest.raises(InputError, match=f"steps is '{steps}'"):
            respaced_timesteps(diffusion_steps, steps)
    else:
        assert respaced_timesteps(diffusion_steps, steps) == wanted


@given(st.integers(2, 4000), st.data())
def test_a_number_spreads_as_in_guided_diffusion(t: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, t + 2))
    check(t, str(n), guided_diffusion(t, [n]))


def test_every_number_of_steps_of_a_thousand_is_as_in_guided_diffusion() -> None:
    for n in range(1, 1001):
        assert respaced_timesteps(1000, n) == guided_diffusion(1000, [n])


@given(st.integers(1, 1000), st.lists(st.integers(0, 40), min_size=2, max_size=6))
def test_sections_spread_as_in_guided_diffusion(t: int, counts: list[int]) -> None:
    if sum(counts) > 0:
        check(t, ",".join(map(str, counts)), guided_diffusion(t, counts))


@given(st.integers(3, 2000), st.data())
def test_ddim_strides_as_in_guided_diffusion(t: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(2, t + 2))
    check(t, f"ddim{n}", guided_diffusion_ddim(t, n))


@pytest.mark.parametrize(
    ("diffusion_steps", "steps", "wanted"),
    [
        (1000, "ddim50", list(range(0, 1000, 20))),
        (1000, "ddim25", list(range(0, 1000, 40))),
        (1000, "5", [0, 250, 500, 749, 999]),
        (1000, "1", [0]),
        (1000, "2", [0, 999]),
        (300, "3,2,1", [0, 50, 99, 100, 199, 200]),
        (10, "2,0,2", [0, 3, 7, 9]),
        (7, "7", list(range(7))),
        (7, "", list(range(7))),
        (7, " 2 ", [0, 6]),
        (1, "1", [0]),
    ],
)
def test_known_respacings(diffusion_steps: int, steps: str, wanted: list[int]) -> None:
    assert respaced_timesteps(diffusion_steps, steps) == wanted


def test_three_sections_of_a_thousand() -> None:
    chosen = respaced_timesteps(1000, "10,10,5")
    assert len(chosen) == 25
    assert chosen[:3] == [0, 37, 74]
    assert [chosen[i] for i in (9, 10, 19, 20, 24)] == [333, 334, 666, 667, 999]


@pytest.mark.parametrize(
    "steps",
    ["0", "-3", "1001", "ddim0", "ddim-5", "ddim300", "ddim7x", "ddim", "ten", "10;5", "10,",
     "400,400,400", "0,0", "5.0"],
)  # fmt: skip
def test_steps_that_a_schedule_cannot_give_are_named(steps: str) -> None:
    with pytest.raises(InputError) as refused:
        respaced_timesteps(1000, steps)
    assert f"{steps!r}" in str(refused.value)


def angles(a_bar: Iterable[float]) -> np.ndarray[Any, Any]:
    return np.array([math.atan2(math.sqrt(1 - a), math.sqrt(a)) for a in a_bar])


@pytest.mark.parametrize("noise_schedule", ["linear", "cosine"])
@pytest.mark.parametrize("count", [2, 5, 10, 20])
def test_early_steps_are_a_parabola_in_the_angle_of_noise(noise_schedule: str, count: int) -> None:
    of_each_t = angles(alphas_cumprod(noise_schedule, 1000).tolist())
    found = angles(Schedule(noise_schedule, 1000, f"early{count}").a_bar)
    most, least = of_each_t.max(), of_each_t.min()
    wanted = [least + (most - least) * (1 - (k / (count - 1)) ** 2) for k in range(count)]
    nearest = np.abs(of_each_t[None] - np.array(wanted)[:, None]).min(axis=1)
    np.testing.assert_allclose(np.abs(found - wanted), nearest, atol=1e-12)


@given(st.sampled_from(["linear", "cosine", "scaled_linear"]), st.integers(21, 1100), st.data())
def test_early_steps_are_as_many_as_asked_for_and_go_from_noise_to_picture(
    noise_schedule: str, t: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(2, t))
    chosen = chosen_timesteps(alphas_cumprod(noise_schedule, t), f"early{n}")
    assert len(chosen) == len(set(chosen)) == n
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (0, t - 1)


def test_one_early_step_is_one_step() -> None:
    a_bar = alphas_cumprod("cosine", 1000)
    assert chosen_timesteps(a_bar, "early1") == chosen_timesteps(a_bar, "1") == [0]


@pytest.mark.parametrize("steps", ["early", "early0", "early1001", "early-3", "early2.5", "earlyx"])
def test_early_steps_that_there_are_not_are_named(steps: str) -> None:
    with pytest.raises(InputError, match=rf"steps is '{steps}'; use early1 to early1000"):
        Schedule("cosine", 1000, steps)


@pytest.mark.parametrize("t", [50, 100, 1000, 4000])
def test_linear_is_the_ddpm_schedule(t: int) -> None:
    betas = np.linspace(1e-4 * 1000 / t, 0.02 * 1000 / t, t)
    wanted = np.exp(np.cumsum(np.log(1 - betas)))
    np.testing.assert_allclose(alphas_cumprod("linear", t).numpy(), wanted, rtol=1e-9)


@pytest.mark.parametrize("t", [1, 2, 100, 1000, 4000])
def test_cosine_is_the_iddpm_schedule(t: int) -> None:
    def f(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    wanted, product = [], 1.0
    for k in range(t):
        product *= 1 - min(1 - f((k + 1) / t) / f(k / t), 0.999)
        wanted.append(product)
    np.testing.assert_allclose(alphas_cumprod("cosine", t).numpy(), wanted, rtol=1e-9)


@pytest.mark.parametrize("t", [1, 10, 20])
def test_a_linear_schedule_too_short_to_keep_anything_is_refused(t: int) -> None:
    with pytest.raises(InputError, match=rf"diffusion_steps is {t}, .* more than 20"):
        Schedule("linear", t, "1")
    assert len(Schedule("linear", 21, "")) == 21


def test_tables_are_in_double_precision() -> None:
    assert alphas_cumprod("linear", 1000).dtype == torch.float64


def test_an_unknown_schedule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'sigmoid'; use 'linear', 'cosine'"):
        alphas_cumprod("sigmoid", 1000)


@given(st.sampled_from(["linear", "cosine"]), st.integers(1, 60))
def test_steps_go_from_noise_to_picture(noise_schedule: str, count: int) -> None:
    schedule = Schedule(noise_schedule, 1000, count)
    assert len(schedule) == len(schedule.steps) == count
    assert [step.index for step in schedule.steps] == list(range(count))
    assert [step.t for step in schedule.steps] == respaced_timesteps(1000, count)[::-1]
    assert schedule.steps[-1].t == 0
    assert schedule.steps[-1].fraction == 1
    assert schedule.a_bar_next(count - 1) == 1
    for step, a_bar in zip(schedule.steps, schedule.a_bar, strict=True):
        assert step.alpha**2 + step.sigma**2 == pytest.approx(1)
        assert step.alpha**2 == pytest.approx(a_bar)
        assert 0 <= step.fraction <= 1
    fractions = [step.fraction for step in schedule.steps]
    assert fractions == sorted(fractions)


def test_the_noisiest_timestep_is_fraction_zero() -> None:
    assert Schedule("linear", 1000, "").steps[0].fraction == 0
    assert Schedule("cosine", 1, "").steps[0].fraction == 1


def test_a_clean_image_is_noised_to_the_level_of_a_step() -> None:
    step = Schedule("cosine", 1000, 10).steps[4]
    y_0, eps = torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), -2.0)
    wanted = step.alpha * 0.5 - step.sigma * 2
    torch.testing.assert_close(step.noised(y_0, eps), torch.full((1, 1, 2, 2), wanted))


@given(st.sampled_from(["linear", "cosine"]), st.integers(1, 60))
def test_transitions_are_those_of_a_respaced_process(noise_schedule: str, count: int) -> None:
    schedule = Schedule(noise_schedule, 1000, count)
    steps = transitions(schedule)
    assert [step.last for step in steps] == [False] * (count - 1) + [True]
    product = 1.0
    for step in reversed(steps):
        product *= 1 - step.beta
        assert product == pytest.approx(step.a_bar)
        assert 0 < step.beta < 1
    for step in steps[:-1]:
        beta_tilde = (1 - step.a_bar_prev) / (1 - step.a_bar) * step.beta
        assert step.log_beta_tilde == pytest.approx(math.log(beta_tilde))
        assert step.log_beta_tilde < math.log(step.beta)
    if count > 1:
        assert steps[-1].log_beta_tilde == steps[-2].log_beta_tilde


def test_the_posterior_of_a_step_is_that_of_two_gaussians() -> None:
    """q(x_{t-1} | x_t, x_0) by Bayes from q(x_t | x_{t-1}) and q(x_{t-1} | x_0)."""
    step = transitions(Schedule("linear", 1000, 8))[3]
    x_0, x_t = torch.tensor(0.3, dtype=torch.float64), torch.tensor(-0.7, dtype=torch.float64)
    prior = 1 / (1 - step.a_bar_prev)
    likelihood = (1 - step.beta) / step.beta
    mean = prior * math.sqrt(step.a_bar_prev) * 0.3 + likelihood * -0.7 / math.sqrt(1 - step.beta)
    assert float(step.posterior_mean(x_0, x_t)) == pytest.approx(mean / (prior + likelihood))
    assert math.exp(step.log_beta_tilde) == pytest.approx(1 / (prior + likelihood))
