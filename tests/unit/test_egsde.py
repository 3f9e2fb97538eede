"""EGSDE: what it reduces to, what it follows, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from ilvr_latent import (
    EGSDE,
    ILVR,
    Guides,
    InputError,
    LowPass,
    Reference,
    Run,
    SeededNoise,
    Start,
    sample_with,
)
from ilvr_latent.diffusion import Schedule, gradient
from ilvr_latent.diffusion.guide import Guide, begun

if TYPE_CHECKING:
    from tests.conftest import CountedNoise, MixtureDenoiser

SHAPE = (2, 3, 16, 16)
STEPS, FIRST = 20, 10
Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]


def run_with(model: MixtureDenoiser, guide: Guide | None, y_0: Tensor, **settings: Any) -> Tensor:
    chosen: dict[str, Any] = {"shape": SHAPE, "steps": STEPS, "noise": SeededNoise(3)}
    return sample_with(model, guide, start=Start(y_0.expand(SHAPE), FIRST), **(chosen | settings))


@pytest.fixture
def y_0(some_pictures: Pictures) -> Tensor:
    return some_pictures(1, seed=9)


class Domain(nn.Module):
    """Features of each position, which know the timestep."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        assert t.dtype == torch.int64 and t.shape == x.shape[:1]
        features: Tensor = self.conv(x).tanh() * (1 + t.view(-1, 1, 1, 1) / 1000)
        return features


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@pytest.mark.parametrize("shared", [True, False])
def test_without_weights_it_is_sdedit(
    exact: Exact, y_0: Tensor, counted_noise: CountedNoise, sampler: str, shared: bool
) -> None:
    guide = EGSDE(y_0, features=Domain(), realism=0, faithful=0, shared_noise=shared)
    out = run_with(exact(), guide, y_0, sampler=sampler)
    assert torch.equal(out, run_with(exact(), None, y_0, sampler=sampler))
    run_with(exact(), guide, y_0, noise=counted_noise)
    assert counted_noise.asked == [("x_T", -1), *(("z", i) for i in range(STEPS - FIRST))]


def test_shared_noise_is_the_starts_and_draws_none(
    exact: Exact, y_0: Tensor, counted_noise: CountedNoise
) -> None:
    run_with(exact(), EGSDE(y_0, factor=4), y_0, noise=counted_noise)
    assert {kind for kind, _ in counted_noise.asked} == {"x_T", "z"}
    counted_noise.asked.clear()
    run_with(exact(), EGSDE(y_0, factor=4, shared_noise=False), y_0, noise=counted_noise)
    drawn = [i for kind, i in counted_noise.asked if kind == "reference"]
    assert drawn == list(range(STEPS - FIRST))


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_faithful_keeps_the_layout_of_the_source(exact: Exact, y_0: Tensor, sampler: str) -> None:
    phi = LowPass(4, "linear")

    def away(guide: Guide | None) -> float:
        out = run_with(exact(variance=0.3), guide, y_0, sampler=sampler)
        return float((phi(out) - phi(y_0)).norm())

    distances = [away(EGSDE(y_0, factor=4, faithful=w)) for w in (0.5, 2.0)]
    assert away(None) > 1.2 * distances[0] > 1.2**2 * distances[1]


def test_realism_moves_features_away_from_the_sources(exact: Exact, y_0: Tensor) -> None:
    domain, t = Domain(), torch.zeros(2, dtype=torch.int64)

    def likeness(guide: Guide | None) -> float:
        out = run_with(exact(variance=0.3), guide, y_0)
        with torch.no_grad():
            features = domain(out, t), domain(y_0.expand(SHAPE), t)
        return float(torch.cosine_similarity(*features, dim=1).mean())

    guide = EGSDE(y_0, features=domain, realism=500, faithful=0)
    assert likeness(guide) < likeness(None) - 0.05


def test_both_energies_have_the_slope_of_their_numbers(y_0: Tensor) -> None:
    schedule = Schedule("linear", 1000, STEPS)
    run = Run(schedule, SHAPE, torch.device("cpu"), SeededNoise(0))
    guided = EGSDE(y_0, features=Domain().double(), factor=4).begin(run)
    assert guided is not None
    step = schedule.steps[FIRST]
    generator = torch.Generator().manual_seed(0)
    x, y_t, v = torch.randn(3, *SHAPE, generator=generator, dtype=torch.float64)
    g = gradient(lambda point: guided._energy(point, y_t, step), x)
    h = 1e-5
    up, down = (guided._energy(x + sign * h * v, y_t, step) for sign in (1, -1))
    torch.testing.assert_close((g * v).flatten(1).sum(1), (up - down) / (2 * h), rtol=1e-6, atol=0)


def test_a_picture_does_not_depend_on_its_batch(exact: Exact, some_pictures: Pictures) -> None:
    sources = some_pictures(2, seed=9)

    def guide(y_0: Tensor) -> EGSDE:
        return EGSDE(y_0, features=Domain(), factor=4)

    together = run_with(exact(), guide(sources), sources, noise=SeededNoise([5, 6]))
    for k in range(2):
        one = sources[k : k + 1]
        alone = sample_with(
            exact(), guide(one), shape=one.shape, steps=STEPS, noise=SeededNoise([5 + k]),
            start=Start(one, FIRST),
        )  # fmt: skip
        torch.testing.assert_close(together[k : k + 1], alone, atol=2e-5, rtol=0)


def test_it_works_in_inference_mode_with_a_network_that_was_made_there(
    exact: Exact, y_0: Tensor
) -> None:
    wanted = run_with(exact(), EGSDE(y_0, features=Domain(), factor=4), y_0)
    with torch.inference_mode():
        out = run_with(exact(), EGSDE(y_0.clone(), features=Domain(), factor=4), y_0)
    torch.testing.assert_close(out, wanted)


def test_it_is_chained_with_ilvr(exact: Exact, some_pictures: Pictures, y_0: Tensor) -> None:
    phi, other = LowPass(8, "box"), some_pictures(1, seed=2)
    matched = ILVR(Reference(other, 8, kernel="box"))
    out = run_with(exact(), Guides(EGSDE(y_0, factor=4), matched), y_0)
    torch.testing.assert_close(phi(out), phi(other).expand(SHAPE), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("steps", "said"), [(200, "steps."), (8, "use 1.")])
def test_it_says_when_steps_are_too_long_for_it(y_0: Tensor, steps: int, said: str) -> None:
    lines: list[str] = []
    schedule = Schedule("linear", 1000, steps)
    run = Run(schedule, SHAPE, torch.device("cpu"), SeededNoise(0), tell=lines.append)
    begun(EGSDE(y_0, faithful=2), run)
    assert len(lines) == 1
    assert lines[0].endswith(said) or steps == 8
    assert ("overshoots" in lines[0]) == (steps == 8)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"realism": -1.0}, "realism is -1"),
        ({"faithful": float("inf")}, "faithful is inf"),
        ({"factor": 0.5}, "factor N is 0.5"),
        ({"kernel": "sinc"}, "kernel is 'sinc'"),
        ({"features": lambda x, t: x.mean((1, 2, 3))}, r"features have shape \(2,\)"),
        ({"features": lambda x, t: x / 0}, "NaN or infinite"),
    ],
    ids=["realism", "faithful", "factor", "kernel", "shape", "nan"],
)
def test_what_cannot_be_used_is_refused_before_the_network_is_called(
    exact: Exact, y_0: Tensor, settings: dict[str, Any], named: str
) -> None:
    model = exact()
    with pytest.raises(InputError, match=named):
        run_with(model, EGSDE(y_0, **settings), y_0)
    with pytest.raises(InputError, match="resize"):
        run_with(model, EGSDE(y_0[..., :8]), y_0)
    assert not model.seen
