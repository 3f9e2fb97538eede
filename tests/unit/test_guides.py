"""The protocol of guides: chains, hooks, refusals, gradients."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from ilvr_latent import (
    ILVR,
    SAMPLERS,
    Guide,
    GuideRun,
    Guides,
    InputError,
    LowPass,
    Reference,
    Run,
    SeededNoise,
    Start,
    Step,
    Window,
    sample,
    sample_with,
)
from ilvr_latent.diffusion import Schedule, gradient, ordinary_weights
from ilvr_latent.diffusion.guide import Denoise, begun
from tests.example_guide import example_guide

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

SHAPE = (2, 3, 16, 16)
Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]


def run_with(model: MixtureDenoiser, guide: Guide | None, **settings: object) -> Tensor:
    chosen: dict[str, object] = {"shape": SHAPE, "steps": 8, "noise": SeededNoise(3)}
    return sample_with(model, guide, **(chosen | settings))  # type: ignore[arg-type]


class Idle(GuideRun):
    """Overrides nothing."""


class Doing:
    """A guide that is one run, for tests."""

    def __init__(self, run: GuideRun) -> None:
        self.run = run

    def begin(self, run: Run) -> GuideRun:
        return self.run


def test_a_guide_without_hooks_is_no_guide(exact: Exact) -> None:
    assert not Idle().hooks
    plain = run_with(exact(), None)
    for guide in (Doing(Idle()), Guides(), Guides(Doing(Idle()), Doing(Idle()))):
        assert torch.equal(run_with(exact(), guide), plain)


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_a_foreign_guide_runs_and_is_chained_with_ilvr(
    exact: Exact, some_pictures: Pictures, sampler: str
) -> None:
    mean_colour, (y_0, z_0) = example_guide(), some_pictures(2, seed=4)[:, None]
    out = run_with(exact(), mean_colour(y_0), sampler=sampler)
    wanted = y_0.mean((-2, -1)).expand(2, 3)
    torch.testing.assert_close(out.mean((-2, -1)), wanted, atol=1e-5, rtol=0)
    phi = LowPass(4, "box")
    matched = ILVR(Reference(z_0, 4, kernel="box"))
    both = run_with(exact(), Guides(mean_colour(y_0), matched), sampler=sampler)
    torch.testing.assert_close(phi(both), phi(z_0).expand(SHAPE), atol=1e-5, rtol=0)
    assert not torch.equal(both, run_with(exact(), matched, sampler=sampler))


def test_the_order_of_ilvrs_does_not_matter(exact: Exact, some_pictures: Pictures) -> None:
    a, b = (ILVR(Reference(p, 4, weight=0.7)) for p in some_pictures(2, seed=6)[:, None])
    other = Doing(Idle())
    outs = [run_with(exact(), g) for g in (Guides(a, b), Guides(b, other, a), Guides(a, other, b))]
    together = ILVR([*a.references, *b.references])
    for out in outs:
        torch.testing.assert_close(out, run_with(exact(), together), atol=1e-6, rtol=0)


class Shifted(GuideRun):
    """Moves the posterior mean."""

    def mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, step: Step
    ) -> Tensor:
        return mu + 0.5 if step.index == 7 else mu


def test_the_mean_is_offered_where_the_sampler_has_one(exact: Exact) -> None:
    plain = run_with(exact(), None)
    torch.testing.assert_close(run_with(exact(), Doing(Shifted())), plain + 0.5)
    with pytest.raises(InputError, match=r"mean.*ddpm"):
        run_with(exact(), Doing(Shifted()), sampler="ddim")


class Twice(GuideRun):
    """Asks the network twice, and takes the mean of both."""

    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        return (denoiser(x_t) + denoiser(x_t)) / 2


def test_a_guide_may_ask_the_network_again(exact: Exact) -> None:
    model = exact()
    out = run_with(model, Guides(Doing(Twice()), Doing(Twice())))
    assert len(model.seen) == 8 * 4
    torch.testing.assert_close(out, run_with(exact(), None))


class Repeating(GuideRun):
    """Takes every step three times."""

    def repeats(self, step: Step) -> int:
        return 3


def test_a_step_is_taken_as_often_as_a_guide_wants(exact: Exact) -> None:
    model = exact(torch.full((1, 3, 16, 16), 0.3), variance=1.0)
    big, told = (64, 3, 16, 16), list[int]()
    out = run_with(
        model, Doing(Repeating()), shape=big, clip_denoised=False,
        callback=lambda step, x: told.append(step.index),
    )  # fmt: skip
    assert told == [i for i in range(8) for _ in range(3)]
    # The way back and forth leaves the distribution of an exact model alone.
    once = run_with(model, None, shape=big, clip_denoised=False)
    assert float(out.mean()) == pytest.approx(float(once.mean()), abs=0.05)
    assert float(out.var()) == pytest.approx(float(once.var()), rel=0.1)


def test_what_a_driver_lacks_is_refused_with_the_place_where_it_works() -> None:
    schedule = Schedule("linear", 1000, 8)
    run = Run(schedule, SHAPE, torch.device("cpu"), SeededNoise(0), frozenset({"state", "end"}))
    for guide, named in ((Doing(Twice()), "denoise"), (Doing(Repeating()), "repeats")):
        with pytest.raises(InputError, match=rf"{named}.*sample_with"):
            begun(guide, run)
    assert isinstance(begun(Doing(Idle()), run), Idle)


def test_a_run_begins_from_a_picture(exact: Exact, some_pictures: Pictures) -> None:
    """From the last step, whose noise is small, little of the picture changes."""
    y_0 = some_pictures(1, seed=5)
    out = run_with(exact(y_0), None, start=Start(y_0.expand(SHAPE), 7))
    torch.testing.assert_close(out, y_0.expand(SHAPE), atol=0.05, rtol=0)
    from_noise = sample(exact(), None, shape=SHAPE, steps=8, seed=3)
    whole = run_with(exact(), None, start=Start(torch.zeros(SHAPE), 0))
    assert (whole - from_noise).abs().mean() < 0.05
    with pytest.raises(InputError, match="step 8, but the run has 8"):
        run_with(exact(), None, start=Start(y_0, 8))


def test_gradients_are_of_each_picture_alone_and_right() -> None:
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def energy(z: Tensor) -> Tensor:
        return (z.sin() * z).flatten(1).sum(1)

    wanted = x.cos() * x + x.sin()
    with torch.no_grad():
        torch.testing.assert_close(gradient(energy, x), wanted)
        for k in range(3):
            assert torch.equal(gradient(energy, x[k : k + 1]), gradient(energy, x)[k : k + 1])


def test_gradients_go_through_a_network_that_was_made_in_inference_mode() -> None:
    with torch.inference_mode():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.SiLU())
        network.register_buffer("shift", torch.ones(1))
        x = torch.randn(2, 2, 6, 6)
        before = [p.data_ptr() for p in network.parameters()]
        with ordinary_weights(network):
            slope = gradient(lambda z: (network(z) + network.shift).flatten(1).sum(1), x)
            assert [p.data_ptr() for p in network.parameters()] == before
        assert all(p.is_inference() for p in network.parameters())
    assert slope.shape == x.shape
    assert bool(torch.isfinite(slope).all())
    assert float(slope.abs().sum()) > 0


def test_a_gradient_keeps_no_graph() -> None:
    x, kept = torch.randn(2, 3, 8, 8), list[Tensor]()
    slope = gradient(lambda z: (z**2).flatten(1).sum(1), x)
    gc.collect()
    kept += [o for o in gc.get_objects() if isinstance(o, Tensor) and o.grad_fn is not None]
    assert not slope.requires_grad
    assert not kept


def test_a_window_by_levels_matches_x_t_and_the_end(exact: Exact, some_pictures: Pictures) -> None:
    y_0, lines = some_pictures(1, seed=8), list[str]()
    schedule = Schedule("linear", 1000, 8)
    noise = SeededNoise(0)
    for gate, from_start in (("producing", False), ("level", True)):
        window = Window(0.0, 1.0, gate=gate)  # type: ignore[arg-type]
        run = Run(schedule, SHAPE, torch.device("cpu"), noise, tell=lines.append)
        guide = begun(ILVR(Reference(y_0, 4, window)), run)
        x = torch.zeros(SHAPE)
        assert (guide.state(x, schedule.steps[0]) is not x) == from_start
        assert guide.end(x) is not x
    said = "Matches steps 1 to 8 of 8 and the finished picture. N = 4 pixels: 1/4 of the side."
    assert lines == [said] * 2


def test_a_factor_as_a_share_of_the_side_is_so_many_pixels(
    exact: Exact, some_pictures: Pictures
) -> None:
    y_0 = some_pictures(1, seed=8)
    outs = [
        run_with(exact(), ILVR(Reference(y_0, factor, factor_unit=unit)))  # type: ignore[arg-type]
        for factor, unit in ((4, "cells"), (0.25, "share"))
    ]
    assert torch.equal(*outs)
    for factor in (0.0, 1.5):
        with pytest.raises(InputError, match=r"of the side; use a share above 0"):
            Reference(y_0, factor, factor_unit="share")
