"""Predictor-corrector sampling and Langevin dynamics on exact scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import (
    ILVR,
    GuideRun,
    InputError,
    LowPass,
    RecordedNoise,
    Reference,
    Run,
    SeededNoise,
    Step,
    sample_with,
)
from ilvr_latent.diffusion import PredictorCorrector, annealed_langevin, sample_pc
from ilvr_latent.diffusion.reverse import Transition
from tests.gaussians import Gaussians

if TYPE_CHECKING:
    from tests.conftest import CountedNoise, MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]
SHAPE = (2, 3, 16, 16)


def pc(model: Any, **settings: Any) -> Tensor:
    chosen: dict[str, Any] = {"shape": SHAPE, "steps": 8, "noise": SeededNoise(3)}
    return sample_pc(model, **(chosen | settings))


class CountedCorrector:
    """Counts what a run asks for."""

    def __init__(self, noise: CountedNoise) -> None:
        self._noise, self.asked = noise, noise.asked
        self.initial, self.step, self.reference = noise.initial, noise.step, noise.reference

    def corrector(self, i: int, j: int, shape: Any) -> Tensor:
        self.asked.append((f"corrector {j}", i))
        return torch.zeros(tuple(shape))


def test_ancestral_without_correctors_is_ddpm_to_the_bit(exact: Exact) -> None:
    wanted, states = list[Tensor](), list[Tensor]()
    ddpm = sample_with(
        exact(), None, shape=SHAPE, steps=8, variance="fixed_large", clip_denoised=False,
        noise=SeededNoise(3), callback=lambda step, x: wanted.append(x),
    )  # fmt: skip
    out = pc(exact(), corrector_steps=0, callback=lambda step, x: states.append(x))
    assert torch.equal(out, ddpm)
    for got, one in zip(states[:-1], wanted[:-1], strict=True):
        assert torch.equal(got, one)


def test_only_the_noise_that_is_needed_is_drawn(exact: Exact, counted_noise: CountedNoise) -> None:
    noise = CountedCorrector(counted_noise)
    pc(exact(), steps=2, corrector_steps=2, noise=noise)
    levels = [[("corrector 0", i), ("corrector 1", i), ("z", i)] for i in (0, 1)]
    assert noise.asked == [("x_T", -1), *levels[0], *levels[1]]
    noise.asked.clear()
    pc(exact(), steps=2, corrector_steps=0, predictor="reverse_diffusion", flow=True, noise=noise)
    assert noise.asked == [("x_T", -1)]
    pc(exact(), steps=2, corrector_steps=1, predictor="none", noise=noise)
    assert ("z", 0) not in noise.asked


def test_the_network_is_called_once_for_each_move(exact: Exact) -> None:
    for predictor, correctors, calls in (
        ("ancestral", 0, 8), ("reverse_diffusion", 1, 16), ("none", 3, 24),
    ):  # fmt: skip
        model = exact()
        pc(model, predictor=predictor, corrector_steps=correctors)
        assert len(model.seen) == calls


@pytest.mark.parametrize("predictor", ["ancestral", "reverse_diffusion", "euler_maruyama"])
@pytest.mark.parametrize("corrector_steps", [0, 1])
def test_many_steps_draw_from_the_model(predictor: str, corrector_steps: int) -> None:
    """A Gaussian comes out with its mean and variance."""
    model = Gaussians.one(torch.full((1, 2, 8, 8), 0.4), 0.5)
    shape = (64, 2, 8, 8)
    out = pc(model, predictor=predictor, corrector_steps=corrector_steps, steps=250, shape=shape)
    n = out.numel()
    # What is left is the error of 250 steps and, with a corrector, of its own step.
    assert float(out.mean()) == pytest.approx(0.4, abs=3 * 0.5 / math.sqrt(n) + 0.01)
    assert float(out.std()) == pytest.approx(0.5, rel=0.03 if corrector_steps == 0 else 0.06)


def test_the_discrete_flow_nears_ddim_with_its_steps() -> None:
    model = Gaussians(torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)),
                      torch.ones(3) / 3, 0.3)  # fmt: skip
    x_T = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    noise = RecordedNoise(x_T, [torch.zeros_like(x_T)] * 1000, {})
    settings: dict[str, Any] = {"shape": x_T.shape, "clip_denoised": False, "noise": noise}
    ddim = sample_with(model, None, steps=1000, sampler="ddim", eta=0.0, **settings)
    for predictor in ("reverse_diffusion", "euler_maruyama"):
        errors = [
            float((pc(model, predictor=predictor, flow=True, corrector_steps=0, steps=steps,
                      **settings) - ddim).abs().mean())
            for steps in (50, 200, 1000)
        ]  # fmt: skip
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] < 0.02


def test_a_corrector_leaves_the_distribution_of_its_level_alone() -> None:
    """P9: small Langevin moves keep the moments of a Gaussian."""
    a, spread, mean = 0.6, 0.5, 0.8
    model = Gaussians.one(torch.full((1, 1, 8, 8), mean), spread)
    generator = torch.Generator().manual_seed(0)
    std = math.sqrt(a * spread**2 + 1 - a)
    x = a**0.5 * mean + std * torch.randn(4000, 1, 8, 8, generator=generator).double()
    moves = PredictorCorrector(snr=0.05)
    transition = Transition(a, 0.65, 0.0)
    before = x
    for _ in range(20):
        z = torch.randn(x.shape, generator=generator).double()
        x = moves.corrected(x, model.x_0(x, a), z, transition).state
    n = x.numel()
    assert float(x.mean()) == pytest.approx(a**0.5 * mean, abs=3 * std / math.sqrt(n))
    assert float(x.var()) == pytest.approx(std**2, abs=3 * std**2 * math.sqrt(2 / n) + 2e-3)
    # It does move: the states are no longer those that they were.
    centred = [v - v.mean() for v in (before, x)]
    assert float((centred[0] * centred[1]).mean()) / std**2 < 0.97


def test_annealed_langevin_ends_in_the_model() -> None:
    model = Gaussians.one(torch.full((1, 1, 32, 32), 0.5), 0.3)

    def score(x: Tensor, sigma: float) -> Tensor:
        a = 1 / (1 + sigma**2)
        return math.sqrt(a) * model.score(x * math.sqrt(a), a)

    x = 5 * torch.randn(12, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    sigmas = torch.logspace(math.log10(5), -1, 12)
    out, end = (
        annealed_langevin(score, x, sigmas, eps=6e-3, steps_each=40, denoise=denoise,
                          noise=SeededNoise(0))
        for denoise in (False, True)
    )  # fmt: skip
    n = out.numel()
    for one, variance in ((out, 0.3**2 + 0.1**2), (end, 0.3**4 / (0.3**2 + 0.1**2))):
        assert float(one.mean()) == pytest.approx(0.5, abs=4 * math.sqrt(variance / n))
        assert float(one.var()) == pytest.approx(variance, rel=0.06)


@pytest.mark.parametrize("norms", ["image", "batch"])
def test_only_the_authors_norms_tie_a_picture_to_its_batch(exact: Exact, norms: str) -> None:
    model = exact(variance=0.05)
    seeds = [5, 6, 7]
    together = pc(model, norms=norms, shape=(3, 3, 16, 16), noise=SeededNoise(seeds))
    apart = max(
        float((pc(model, norms=norms, shape=(1, 3, 16, 16), noise=SeededNoise([seed]))
               - together[k : k + 1]).abs().max())
        for k, seed in enumerate(seeds)
    )  # fmt: skip
    assert (apart < 1e-5) == (norms == "image")


@pytest.mark.parametrize("space", ["state", "prediction"])
@pytest.mark.parametrize("predictor", ["ancestral", "reverse_diffusion"])
def test_ilvr_guides_every_call(
    exact: Exact, some_pictures: Pictures, space: str, predictor: str
) -> None:
    y_0, phi = some_pictures(1, seed=9), LowPass(4, "box")
    guide = ILVR(Reference(y_0, 4, kernel="box", space=space))  # type: ignore[arg-type]
    out = pc(exact(variance=0.05), guide=guide, predictor=predictor, steps=50)
    assert (phi(out) - phi(y_0)).abs().max() < (1e-5 if space == "state" else 0.05)
    plain = pc(exact(variance=0.05), predictor=predictor, steps=50)
    assert (phi(plain) - phi(y_0)).abs().max() > 0.1
    nothing = ILVR(Reference(y_0, 4, weight=0.0, space=space))  # type: ignore[arg-type]
    assert torch.equal(pc(exact(), guide=nothing), pc(exact()))


class Shifted(GuideRun):
    """Moves the last posterior mean."""

    def begin(self, run: Run) -> Shifted:
        return self

    def mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, step: Step
    ) -> Tensor:
        return mu + 0.5 if step.index == 7 else mu


def test_the_mean_is_offered_by_the_ancestral_predictor_alone(exact: Exact) -> None:
    torch.testing.assert_close(pc(exact(), guide=Shifted()), pc(exact()) + 0.5)
    with pytest.raises(InputError, match="mean"):
        pc(exact(), guide=Shifted(), predictor="reverse_diffusion")


def test_a_learned_variance_is_left_aside(exact: Exact) -> None:
    learned = exact(variance=0.05, learn_sigma=True, learned=lambda t: torch.ones_like(t) * 0.3)
    assert torch.equal(pc(learned), pc(exact(variance=0.05)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"predictor": "heun"}, r"predictor is 'heun'"),
        ({"norms": "none"}, r"norms is 'none'"),
        ({"snr": 0.0}, r"snr is 0.0"),
        ({"snr": math.nan}, r"snr is nan"),
        ({"corrector_steps": -1}, r"corrector_steps is -1"),
        ({"predictor": "none", "corrector_steps": 0}, r"neither a predictor nor a corrector"),
        ({"flow": True}, r"'ancestral' has no probability flow"),
        ({"steps": "0"}, r"steps is '0'"),
        ({"noise": RecordedNoise(torch.zeros(SHAPE), [], {})}, r"corrector\(i, j, shape\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_bad_setting_is_named_before_the_network_is_called(
    exact: Exact, settings: dict[str, Any], sentence: str
) -> None:
    model = exact()
    with pytest.raises(InputError, match=sentence):
        pc(model, **settings)
    assert not model.seen


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"sigmas": []}, r"descending noise levels"),
        ({"sigmas": [0.1, 1.0]}, r"descending noise levels"),
        ({"sigmas": [1.0, 0.0]}, r"above 0"),
        ({"eps": 0.0}, r"eps is 0.0"),
        ({"steps_each": 0}, r"steps_each 0"),
        ({"noise": object()}, r"corrector\(i, j, shape\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_bad_settings_of_annealed_langevin_are_named(
    settings: dict[str, Any], sentence: str
) -> None:
    def score(x: Tensor, sigma: float) -> Tensor:
        raise AssertionError("the score was asked")

    given: dict[str, Any] = {"sigmas": [1.0, 0.1], "noise": SeededNoise(0)} | settings
    with pytest.raises(InputError, match=sentence):
        annealed_langevin(score, torch.zeros(1, 1, 2, 2), **given)
