"""SDDM: what it reduces to, what it holds, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from ilvr_latent import (
    ILVR,
    SDDM,
    GuideRun,
    Guides,
    InputError,
    LowPass,
    Reference,
    Run,
    SeededNoise,
    Step,
    Window,
    match,
    sample_with,
)
from ilvr_latent.diffusion import Schedule
from ilvr_latent.diffusion.guide import Guide
from ilvr_latent.guides import block_statistics, feature_energy
from ilvr_latent.guides.energy import AnyEnergy

if TYPE_CHECKING:
    from tests.conftest import CountedNoise, MixtureDenoiser

SHAPE = (2, 3, 16, 16)
STEPS = 6
Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]


def run_with(model: MixtureDenoiser, guide: Guide | None, **settings: Any) -> Tensor:
    chosen: dict[str, Any] = {"shape": SHAPE, "steps": STEPS, "noise": SeededNoise(3)}
    return sample_with(model, guide, **(chosen | settings))


@pytest.fixture
def y_0(some_pictures: Pictures) -> Tensor:
    return some_pictures(1, seed=9)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh())


def smooth(x: Tensor) -> Tensor:
    return x.diff(dim=-1).square().flatten(1).sum(1)


def rough(x: Tensor) -> Tensor:
    return -smooth(x)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_without_a_guided_step_it_is_not_there(
    exact: Exact, y_0: Tensor, counted_noise: CountedNoise, sampler: str
) -> None:
    plain = run_with(exact(), None, sampler=sampler)
    guide = SDDM(y_0, blocks=4, energies=[smooth], range_t=STEPS - 1)
    assert torch.equal(run_with(exact(), guide, sampler=sampler), plain)
    run_with(exact(), SDDM(y_0, blocks=4, energies=[smooth]), noise=counted_noise)
    # With guided steps neither: nothing is drawn but x_T and the sampler's own.
    assert counted_noise.asked == [("x_T", -1), *(("z", i) for i in range(STEPS))]


def test_a_weight_of_0_is_no_energy(exact: Exact, y_0: Tensor) -> None:
    def never(x: Tensor) -> Tensor:
        raise AssertionError

    alone = run_with(exact(), SDDM(y_0, blocks=4))
    assert torch.equal(run_with(exact(), SDDM(y_0, blocks=4, energies=[never], weight=0)), alone)
    weighed = run_with(exact(), SDDM(y_0, blocks=4, energies=[smooth]))
    assert not torch.equal(weighed, alone)


class Rough(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return rough(x)


def test_an_energy_takes_the_state_and_may_take_the_step(exact: Exact, y_0: Tensor) -> None:
    def of_level(x: Tensor, step: Step) -> Tensor:
        assert 0 < step.a_bar < 1
        return rough(x)

    energies: tuple[AnyEnergy, ...] = (rough, of_level, Rough())
    outs = [run_with(exact(), SDDM(y_0, blocks=4, energies=[energy])) for energy in energies]
    assert torch.equal(outs[0], outs[1])
    assert torch.equal(outs[0], outs[2])


def test_an_energy_that_is_flat_along_the_sphere_changes_nothing(exact: Exact, y_0: Tensor) -> None:
    def no_slope(x: Tensor) -> Tensor:
        return 0 * x.flatten(1).sum(1)

    def towards_the_centre(x: Tensor) -> Tensor:
        """What is left of its slope along the sphere is rounding."""
        return (x - 0.5).square().flatten(1).sum(1)

    # x_T too: on the manifold from the start.
    settings: dict[str, Any] = {"blocks": 4, "project_start": True}
    alone = run_with(exact(), SDDM(y_0, **settings))
    for energy in (no_slope, towards_the_centre):
        out = run_with(exact(), SDDM(y_0, energies=[energy], **settings))
        torch.testing.assert_close(out, alone, atol=1e-4, rtol=0)


class ClosedILVR(GuideRun):
    """Matches with a reference without noise, at the level produced."""

    def __init__(self, y_0: Tensor, lowpass: LowPass) -> None:
        self.y_0, self.lowpass = y_0, lowpass

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        if step.index == 0:
            return x_t
        return match(x_t, step.alpha * self.y_0.expand_as(x_t), self.lowpass)

    def begin(self, run: Run) -> GuideRun:
        return self


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_with_means_alone_it_is_ilvr_with_the_box_kernel(
    exact: Exact, y_0: Tensor, sampler: str
) -> None:
    out = run_with(exact(), SDDM(y_0, blocks=4, deviations=False), sampler=sampler)
    wanted = run_with(exact(), ClosedILVR(y_0, LowPass(4, "box")), sampler=sampler)
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=0)


def states(model: MixtureDenoiser, guide: Guide, **settings: Any) -> list[Tensor]:
    run_with(model, guide, **settings)
    return model.seen


def test_states_have_the_statistics_of_the_reference_at_their_level(
    exact: Exact, y_0: Tensor
) -> None:
    m, s = block_statistics(y_0.expand(SHAPE), 4)
    guide = SDDM(y_0, blocks=4, range_t=2, project_start=True)
    seen = states(exact(), guide)
    for index, a in enumerate(Schedule("linear", 1000, STEPS).a_bar):
        mean, std = block_statistics(seen[index], 4)
        errors = (mean - a**0.5 * m).abs().max(), (std - (a * s**2 + 1 - a) ** 0.5).abs().max()
        # Indices 5, 4, 3 of 6 are guided, so the states 5 (x_T) to 2 are on the manifold.
        assert (max(errors) < 1e-4) == (index <= 3), index


def test_a_window_says_which_steps_are_guided(exact: Exact, y_0: Tensor) -> None:
    by_range = run_with(exact(), SDDM(y_0, blocks=4, energies=[smooth], range_t=2))
    window = Window.steps(0, STEPS - 2 - 2)
    by_window = run_with(exact(), SDDM(y_0, blocks=4, energies=[smooth], window=window))
    assert torch.equal(by_window, by_range)
    with pytest.raises(InputError, match="holds none"):
        run_with(exact(), SDDM(y_0, blocks=4, window=Window.steps(10, 20)))


def test_a_window_by_levels_has_x_t_and_every_call_in_it(exact: Exact, y_0: Tensor) -> None:
    window = Window(0, 1, gate="level")
    m, _ = block_statistics(y_0.expand(SHAPE), 4)
    seen = states(exact(), SDDM(y_0, blocks=4, window=window))
    for x, a in zip(seen, Schedule("linear", 1000, STEPS).a_bar, strict=True):
        torch.testing.assert_close(block_statistics(x, 4)[0], a**0.5 * m, atol=1e-5, rtol=0)


def test_a_mask_leaves_the_rest_alone(exact: Exact, y_0: Tensor) -> None:
    left = torch.zeros(1, 1, 16, 16)
    left[..., :8] = 1
    schedule = Schedule("linear", 1000, STEPS)
    run = Run(schedule, SHAPE, torch.device("cpu"), SeededNoise(0))
    guided = SDDM(y_0, blocks=4, energies=[rough], mask=left).begin(run)
    assert guided is not None
    x, step = SeededNoise(1).initial(SHAPE), schedule.steps[2]
    for out in (guided.state(x, step), guided.prediction(x, SeededNoise(2).initial(SHAPE), step)):
        assert torch.equal(out[..., 8:], x[..., 8:])
        assert float((out - x)[..., :8].abs().max()) > 0.01


@pytest.mark.parametrize("per_block", [False, True])
def test_a_picture_does_not_depend_on_its_batch(
    exact: Exact, some_pictures: Pictures, per_block: bool
) -> None:
    references = some_pictures(2, seed=9)

    def guide(y_0: Tensor) -> SDDM:
        energies: list[AnyEnergy] = [feature_energy(network(), y_0, blocks=4), smooth]
        return SDDM(y_0, blocks=4, energies=energies, per_block=per_block, repeats=2)

    together = run_with(exact(), guide(references), noise=SeededNoise([5, 6]))
    for k in range(2):
        alone = run_with(
            exact(), guide(references[k : k + 1]), noise=SeededNoise([5 + k]), shape=(1, *SHAPE[1:])
        )
        torch.testing.assert_close(together[k : k + 1], alone, atol=2e-5, rtol=0)


def test_the_slope_of_the_feature_energy(y_0: Tensor) -> None:
    energy = feature_energy(network().double(), y_0.double(), blocks=4)
    generator = torch.Generator().manual_seed(0)
    x, v = torch.randn(2, *SHAPE, generator=generator, dtype=torch.float64)
    x.requires_grad_()
    (g,) = torch.autograd.grad(energy(x).sum(), x)
    h = 1e-5
    with torch.no_grad():
        along = (energy(x + h * v) - energy(x - h * v)) / (2 * h)
    torch.testing.assert_close((g * v).flatten(1).sum(1), along, rtol=1e-7, atol=0)


def test_it_works_in_inference_mode_with_a_network_that_was_made_there(
    exact: Exact, y_0: Tensor
) -> None:
    def guide() -> SDDM:
        energies: list[AnyEnergy] = [feature_energy(network(), y_0.clone(), blocks=4), smooth]
        return SDDM(y_0.clone(), blocks=4, energies=energies)

    wanted = run_with(exact(), guide())
    with torch.inference_mode():
        out = run_with(exact(), guide())
    torch.testing.assert_close(out, wanted)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_it_is_chained_with_ilvr(
    exact: Exact, some_pictures: Pictures, y_0: Tensor, sampler: str
) -> None:
    guide, phi = SDDM(y_0, blocks=4, energies=[smooth], range_t=3), LowPass(8, "box")
    matched = ILVR(Reference(y_0, 8, kernel="box"))
    out = run_with(exact(), Guides(guide, matched), sampler=sampler)
    torch.testing.assert_close(phi(out), phi(y_0).expand(SHAPE), atol=1e-4, rtol=0)
    assert not torch.equal(out, run_with(exact(), matched, sampler=sampler))


def test_it_says_what_it_holds(y_0: Tensor) -> None:
    lines: list[str] = []
    schedule = Schedule("linear", 1000, STEPS)
    run = Run(schedule, SHAPE, torch.device("cpu"), SeededNoise(0), tell=lines.append)
    SDDM(y_0, blocks=4, range_t=1).begin(run)
    assert SDDM(y_0, blocks=4, range_t=5).begin(run) is None
    assert lines == [
        "Holds blocks of 4x4 pixels in steps 1 to 4 of 6.",
        "Guides no step of 6: range_t is 5.",
    ]


def of_wrong_shape(x: Tensor, step: Step) -> Tensor:
    return x.square().mean()


def not_a_number(x: Tensor) -> Tensor:
    return 0 * x.flatten(1).sum(1) / 0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"blocks": 5}, "16x16.*5x5.*1, 2, 4 or 8"),
        ({"blocks": 0}, "number of blocks is 0"),
        ({"range_t": -1}, "range_t is -1"),
        ({"repeats": -1}, "repeats is -1"),
        ({"weight": -1.0}, "weight of the energies is -1"),
        ({"weight": float("nan")}, "weight of the energies is nan"),
        ({"energies": [of_wrong_shape]}, r"shape \(\) for 2 pictures"),
        ({"energies": [not_a_number]}, "not_a_number is NaN"),
        ({"energies": [feature_energy(network(), torch.zeros(1, 3, 16, 16), blocks=3)]}, "3x3"),
        ({"energies": [feature_energy(network(), torch.zeros(1, 3, 8, 8), blocks=4)]}, "resize"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_cannot_be_used_is_refused_before_the_network_is_called(
    exact: Exact, y_0: Tensor, settings: dict[str, Any], named: str
) -> None:
    model = exact()
    with pytest.raises(InputError, match=named):
        run_with(model, SDDM(y_0, **({"blocks": 4} | settings)))
    assert not model.seen
