"""Solvers of second order, against diffusers' and against what must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import diffusers
import pytest
import torch
from torch import Tensor

from ilvr_latent import LowPass, Reference, Resampling, Schedule, SeededNoise, sample, sample_with
from ilvr_latent.diffusion.samplers import SAMPLERS

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]
SHAPE = (2, 3, 16, 16)
SOLVERS = {
    "dpmpp_2m": diffusers.DPMSolverMultistepScheduler,
    "unipc": diffusers.UniPCMultistepScheduler,
}
NAMES = (*SOLVERS, "unipc_damped")


class Doubled(SeededNoise):
    """In float64."""

    def __init__(self) -> None:
        super().__init__(3)

    def initial(self, shape: Sequence[int]) -> Tensor:
        return super().initial(shape).double()


def drawn(model: Any, sampler: Any, steps: int, **settings: Any) -> Tensor:
    chosen: dict[str, Any] = {"clip_denoised": False, "noise": SeededNoise(3)} | settings
    return sample_with(model, None, shape=SHAPE, steps=steps, sampler=sampler, **chosen)


def of_diffusers(name: str, model: Any, steps: int) -> Tensor:
    """Their scheduler, held to the levels of our schedule, given clean estimates."""
    scheduler = SOLVERS[name](
        beta_start=1e-4,
        beta_end=0.02,
        solver_order=2,
        final_sigmas_type="zero",
        prediction_type="sample",
    )
    scheduler.set_timesteps(steps)
    levels = Schedule("linear", 1000, steps).steps
    sigmas = [step.sigma / step.alpha for step in levels]
    scheduler.sigmas = torch.tensor([*sigmas, 0.0], dtype=torch.float64)
    scheduler.timesteps = torch.tensor([step.t for step in levels])
    x = Doubled().initial(SHAPE)
    for t in scheduler.timesteps:
        x = scheduler.step(model(x, t.expand(len(x))).double(), t, x).prev_sample
    return x


@pytest.mark.parametrize("name", list(SOLVERS))
@pytest.mark.parametrize("steps", [2, 3, 10, 25])
def test_pictures_are_those_of_diffusers(exact: Exact, name: str, steps: int) -> None:
    """The network gives x_0: eps in fp32 would be rounded 157 times as coarsely at t = 999."""
    model = exact(prediction_type="sample")
    wanted = of_diffusers(name, model, steps)
    assert (drawn(model, name, steps, noise=Doubled()) - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("name", list(SOLVERS))
def test_twice_the_steps_quarter_the_error_at_least(exact: Exact, name: str) -> None:
    """On a smooth flow; ddim with every step stands for the limit."""
    model = exact(variance=0.3)
    limit = drawn(model, "ddim", 1000, eta=0.0)
    few, many = ((drawn(model, name, n) - limit).square().mean().sqrt() for n in (10, 40))
    assert many < few / 4


@pytest.mark.parametrize("steps", [10, 20, 40])
def test_damped_it_is_nearer_to_the_limit_than_either_order(exact: Exact, steps: int) -> None:
    model = exact(variance=0.3)
    limit = drawn(model, "ddim", 1000, eta=0.0)

    def error(sampler: str) -> float:
        return float((drawn(model, sampler, steps, eta=0.0) - limit).square().mean().sqrt())

    assert error("unipc_damped") < 0.8 * min(error("ddim"), error("unipc"))


@pytest.mark.parametrize("name", NAMES)
def test_one_sampler_serves_runs_that_stopped_half_way(exact: Exact, name: str) -> None:
    config = exact().config
    sampler = SAMPLERS[name].of(config, eta=0.0, variance=None)
    wanted = drawn(exact(), sampler, 6)

    class Stop(Exception):
        pass

    def stop(step: Any, x: Tensor) -> None:
        if step.index == 2:
            raise Stop

    with pytest.raises(Stop):
        drawn(exact(), sampler, 6, callback=stop)
    assert torch.equal(drawn(exact(), sampler, 6), wanted)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", ["state", "prediction"])
def test_ilvr_follows_the_reference_in_both_spaces(
    exact: Exact, some_pictures: Callable[..., Tensor], name: Any, space: Any
) -> None:
    y_0, phi = some_pictures(1, seed=9), LowPass(4, "box")

    def residual(weight: float) -> float:
        reference = Reference(y_0, 4, kernel="box", weight=weight)
        x = sample(exact(), reference, shape=SHAPE, steps=10, sampler=name, space=space, seed=1)
        return math.sqrt(float((phi(x) - phi(y_0)).square().mean()))

    assert residual(1.0) < 1e-5 < residual(0.0) / 1000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", ["4,3,3", "5,5"])
def test_where_sections_of_steps_meet_nothing_is_blown_up(
    exact: Exact, some_pictures: Callable[..., Tensor], name: Any, steps: str
) -> None:
    """A match of the state between levels all but one, then a step a hundred times as long."""
    reference = Reference(some_pictures(2, seed=9), 4)

    def moved(sampler: Any) -> Tensor:
        settings: dict[str, Any] = {"shape": SHAPE, "steps": steps, "clip_denoised": False}
        x = sample(exact(), reference, sampler=sampler, eta=0.0, seed=1, **settings)
        return x - LowPass(4)(x)

    assert moved(name).square().mean() < 2 * moved("ddim").square().mean()


@pytest.mark.parametrize("name", NAMES)
def test_jumps_back_begin_anew(exact: Exact, name: Any) -> None:
    jumps = Resampling(jump_length=2, jump_n_sample=2)
    assert drawn(exact(), name, 8, resampling=jumps).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_single_step_is_the_networks_estimate(exact: Exact, name: str) -> None:
    model = exact()
    out = drawn(model, name, 1)
    assert torch.allclose(out, drawn(exact(), "ddim", 1, eta=0.0), atol=1e-5)
    assert len(model.seen) == 1
