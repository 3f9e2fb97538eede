"""The probability flow: its closed form for a Gaussian, and there and back again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import ILVR, InputError, LowPass, RecordedNoise, Reference, SeededNoise
from ilvr_latent.diffusion import encode_flow, encode_ode, sample_flow, sample_ode, sample_with
from ilvr_latent.diffusion.dormand_prince import integrate
from tests.gaussians import Gaussians

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]


def a_bar(t: float) -> float:
    return math.exp(-(t**2) * (20 - 0.1) / 2 - 0.1 * t)


def noise_of(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def three() -> Gaussians:
    return Gaussians(0.5 * noise_of((3, 3, 8, 8), seed=5), torch.ones(3) / 3, 0.3)


def test_the_order_of_the_integrator_is_five() -> None:
    """Halving the step of x' = x cos t divides the error by 32."""
    x = torch.ones(1, 1, dtype=torch.float64)
    errors = []
    for steps in (10, 20, 40):
        grid = [3 * k / steps for k in range(steps + 1)]
        *_, out = integrate(lambda x, t, i: x * math.cos(t), x, grid)
        errors.append(abs(float(out) - math.exp(math.sin(3))))
    assert errors[0] / errors[1] == pytest.approx(32, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(32, rel=0.2)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_the_integrator_keeps_to_its_tolerance_and_to_the_grid(tolerance: float) -> None:
    grid, times = [4.0, 1.0, 0.5, -2.0], set[float]()

    def slope(x: Tensor, t: float, interval: int) -> Tensor:
        times.add(t)
        assert min(grid[interval : interval + 2]) - 1e-12 <= t <= max(grid[interval : interval + 2])
        return x * math.cos(t)

    x = torch.ones(1, 1, dtype=torch.float64)
    states = list(integrate(slope, x, grid, rtol=tolerance))
    for t, state in zip(grid[1:], states, strict=True):
        wanted = math.exp(math.sin(t) - math.sin(4))
        assert float(state) == pytest.approx(wanted, rel=20 * tolerance)
    assert times >= set(grid[:-1])


@pytest.mark.parametrize("mean", [0.0, 0.7])
def test_the_flow_of_a_gaussian_has_a_closed_form(mean: float) -> None:
    """P10: (x_t - sqrt(a) mean) / std_t stays what it was."""
    spread = 0.4
    model = Gaussians.one(torch.full((1, 2, 4, 4), mean), spread)
    x_T = noise_of((3, 2, 4, 4))

    def standard(x: Tensor, t: float) -> Tensor:
        a = a_bar(t)
        return (x - math.sqrt(a) * mean) / math.sqrt(a * spread**2 + 1 - a)

    for t_end in (1e-3, 0.3):
        x = sample_ode(lambda x, t: model.score(x, a_bar(t)), x_T, t_end=t_end)
        torch.testing.assert_close(standard(x, t_end), standard(x_T, 1.0), rtol=0, atol=2e-4)
        back = encode_ode(lambda x, t: model.score(x, a_bar(t)), x, t_end=t_end)
        torch.testing.assert_close(back, x_T, rtol=0, atol=1e-3)
    assert x.dtype == torch.float64


def test_the_end_of_the_flow_is_the_mean_of_the_picture_there() -> None:
    model, x_T = three(), noise_of((2, 3, 8, 8))

    def score(x: Tensor, t: float) -> Tensor:
        return model.score(x, a_bar(t))

    x = sample_ode(score, x_T)
    clean = sample_ode(score, x_T, denoise=True)
    torch.testing.assert_close(clean, model.x_0(x, a_bar(1e-3)), rtol=0, atol=1e-9)


def test_float32_and_looser_bounds_end_near_the_same_picture() -> None:
    model, x_T = three(), noise_of((2, 3, 8, 8))
    outs = [
        sample_ode(lambda x, t: model.score(x, a_bar(t)), x, rtol=bound, atol=bound)
        for x, bound in ((x_T, 1e-9), (x_T, 1e-5), (x_T.float(), 1e-5))
    ]
    assert outs[2].dtype == torch.float32
    for out in outs[1:]:
        torch.testing.assert_close(out.double(), outs[0], rtol=0, atol=1e-3)


def test_a_picture_is_followed_by_itself() -> None:
    model, x_T = three(), noise_of((3, 3, 8, 8))

    def score(x: Tensor, t: float) -> Tensor:
        return model.score(x, a_bar(t))

    together = sample_ode(score, x_T)
    for k in range(3):
        assert torch.equal(sample_ode(score, x_T[k : k + 1]), together[k : k + 1])
    as_one = sample_ode(score, x_T, norms="batch")
    assert not torch.equal(as_one, together)
    torch.testing.assert_close(as_one, together, rtol=0, atol=1e-3)


def flow(model: Any, x_T: Tensor, **settings: Any) -> Tensor:
    noise = RecordedNoise(x_T, [], {})
    chosen: dict[str, Any] = {"shape": x_T.shape, "steps": 20, "noise": noise}
    return sample_flow(model, **(chosen | settings))


def test_the_flow_of_a_network_is_where_ddim_goes() -> None:
    """Twenty steps of order five are nearer to it than a thousand of DDIM are."""
    model, x_T = three(), noise_of((2, 3, 8, 8))
    true = flow(model, x_T, steps=200, tolerance=1e-8)
    ddim = sample_with(
        model, None, shape=x_T.shape, steps=1000, sampler="ddim", eta=0.0, clip_denoised=False,
        noise=RecordedNoise(x_T, [torch.zeros_like(x_T)] * 1000, {}),
    )  # fmt: skip
    quick = flow(model, x_T)
    assert float((ddim - true).abs().mean()) < 0.02
    assert float((quick - true).abs().mean()) < float((ddim - true).abs().mean())
    assert float((flow(model, x_T, tolerance=1e-5) - true).abs().max()) < 1e-3


def test_six_calls_for_each_step_and_one_for_the_picture() -> None:
    model, x_T, told = three(), noise_of((2, 3, 8, 8)), list[int]()
    out = flow(model, x_T, callback=lambda step, x: told.append(step.index))
    assert model.calls == 6 * 19 + 1
    assert told == list(range(20))
    assert out.dtype == torch.float64
    assert flow(three(), x_T, steps=1).shape == x_T.shape


def test_a_picture_is_encoded_and_decoded_again() -> None:
    model = three()
    y_0 = model.mu[:2].double() + 0.3 * noise_of((2, 3, 8, 8), seed=7)
    x_T = encode_flow(model, y_0, steps=60)
    back = flow(model, x_T, steps=60)
    assert float((back - y_0).abs().max()) < 0.02
    # And what it is encoded to is noise.
    assert float(x_T.std()) == pytest.approx(1, abs=0.15)


def test_a_picture_of_a_network_does_not_change_with_its_batch() -> None:
    model, x_T = three(), noise_of((3, 3, 8, 8))
    together = flow(model, x_T)
    for k in range(3):
        alone = flow(model, x_T[k : k + 1])
        torch.testing.assert_close(alone, together[k : k + 1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("space", ["state", "prediction"])
def test_ilvr_guides_the_flow(some_pictures: Pictures, space: str) -> None:
    y_0, phi = some_pictures(1, seed=9), LowPass(4, "box")
    model = Gaussians(some_pictures(3, seed=1), torch.ones(3) / 3, 0.3)
    shape = (2, 3, 16, 16)
    guide = ILVR(Reference(y_0, 4, kernel="box", space=space))  # type: ignore[arg-type]
    out, plain, nothing = (
        sample_flow(model, guide=one, shape=shape, steps=20, noise=SeededNoise(0))
        for one in (guide, None, ILVR(Reference(y_0, 4, weight=0.0)))
    )
    assert (phi(out) - phi(y_0)).abs().max() < 1e-4
    assert (phi(plain) - phi(y_0)).abs().max() > 0.1
    assert torch.equal(plain, nothing)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"t_end": 0.0}, r"t_end is 0.0"),
        ({"t_end": 1.0}, r"t_end is 1.0"),
        ({"rtol": 0.0}, r"tolerance is 0.0"),
        ({"atol": -1.0}, r"tolerance is -1.0"),
        ({"beta_min": 30.0}, r"beta goes from 30.0 to 20.0"),
        ({"norms": "row"}, r"norms is 'row'"),
    ],
    ids=str,
)
def test_a_bad_setting_is_named_before_the_score_is_asked(
    settings: dict[str, Any], sentence: str
) -> None:
    def score(x: Tensor, t: float) -> Tensor:
        raise AssertionError("the score was asked")

    for solve in (sample_ode, encode_ode):
        with pytest.raises(InputError, match=sentence):
            solve(score, torch.zeros(1, 1, 2, 2), **settings)


def test_a_score_that_is_no_number_is_named() -> None:
    with pytest.raises(InputError, match="No step is small enough"):
        sample_ode(lambda x, t: x * math.nan, torch.ones(1, 1, 2, 2))


def test_a_bad_tolerance_is_named_before_the_network_is_called(exact: Exact) -> None:
    model = exact()
    with pytest.raises(InputError, match="tolerance is 0"):
        sample_flow(model, shape=(1, 3, 16, 16), tolerance=0.0, noise=SeededNoise(0))
    with pytest.raises(InputError, match="tolerance is 0"):
        encode_flow(model, torch.zeros(1, 3, 16, 16), tolerance=0.0)
    assert not model.seen
