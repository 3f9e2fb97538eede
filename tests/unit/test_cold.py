"""Cold diffusion: what Algorithm 2 undoes exactly, and what it is with Gaussian noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import ILVR, InputError, LowPass, RecordedNoise, Reference, SeededNoise
from ilvr_latent.diffusion import (
    BlurDegradation,
    FilterDegradation,
    GaussianDegradation,
    MaskDegradation,
    Schedule,
    cold_sample,
    sample_cold,
    sample_with,
)
from tests.gaussians import Gaussians

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]
Degrade = Callable[[Tensor, int], Tensor]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def degradations() -> dict[str, Degrade]:
    return {
        "blur": BlurDegradation(5, [0.5, 1.0, 2.0]),
        "blur reflect": BlurDegradation(3, [0.5, 1.0, 2.0], mode="reflect"),
        "masks": MaskDegradation.growing(16, 16, [2.0, 4.0, 8.0], (7.0, 9.5)),
        "filters": FilterDegradation([LowPass(n, "box") for n in (2, 4, 8)]),
    }


def test_algorithm_2_undoes_what_is_linear_in_s_whatever_is_restored() -> None:
    """P8: D(x, s) = x + s e, and a restoration that knows nothing."""
    y_0, e = random(2, 3, 8, 8), random(2, 3, 8, 8, seed=1)

    def restore(x: Tensor, s: int) -> Tensor:
        return (x * 3).sin() + s

    def degrade(x_0: Tensor, s: int) -> Tensor:
        assert s > 0
        return x_0 + s * e

    outs = [
        cold_sample(y_0 + 6 * e, restore, degrade, 6, algorithm=algorithm) for algorithm in (1, 2)
    ]
    assert float((outs[1] - y_0).abs().max()) < 1e-13
    assert float((outs[0] - y_0).abs().max()) > 1


@pytest.mark.parametrize("name", degradations())
@pytest.mark.parametrize("algorithm", [1, 2])
def test_a_perfect_restoration_gives_the_picture_back(name: str, algorithm: Any) -> None:
    degrade, y_0, told = degradations()[name], random(2, 3, 16, 16), list[int]()
    out = cold_sample(
        degrade(y_0, 3), lambda x, s: y_0, degrade, 3, algorithm=algorithm,
        callback=lambda s, x: told.append(s),
    )  # fmt: skip
    torch.testing.assert_close(out, y_0, rtol=0, atol=1e-12)
    assert told == [3, 2, 1]


@pytest.mark.parametrize("name", degradations())
def test_a_degradation_begins_at_the_picture_and_takes_away_more_and_more(name: str) -> None:
    degrade, y_0 = degradations()[name], random(2, 3, 16, 16)
    assert torch.equal(degrade(y_0, 0), y_0)
    away = [float((degrade(y_0, s) - y_0).norm()) for s in range(4)]
    assert away == sorted(away)
    assert away[1] > 0
    for level in (-1, 4):
        with pytest.raises(InputError, match=rf"level is {level}, but the degradation has 3"):
            degrade(y_0, level)
    half = degrade(y_0.half(), 3)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.double(), degrade(y_0, 3), rtol=0, atol=5e-3)


def test_blurs_keep_constants_and_do_not_need_square_pictures() -> None:
    flat = torch.full((1, 2, 9, 5), 0.3, dtype=torch.float64)
    for mode in ("circular", "reflect"):
        blurred = BlurDegradation(5, [1.0, 3.0], mode=mode)
        torch.testing.assert_close(blurred(flat, 2), flat)
    point = torch.zeros(1, 1, 9, 9)
    point[..., 4, 4] = 1
    spread = BlurDegradation(9, [1.0])(point, 1)
    torch.testing.assert_close(spread, spread.mT)
    assert float(spread.sum()) == pytest.approx(1)
    assert float(spread[0, 0, 4, 5] / spread[0, 0, 4, 4]) == pytest.approx(2.718281828**-0.5)


def test_the_box_filters_are_a_chain_of_projectors() -> None:
    """Down and up by 4 of what was down and up by 2 is down and up by 4."""
    degrade, y_0 = degradations()["filters"], random(1, 3, 16, 16)
    for s in (1, 2, 3):
        for r in range(1, s + 1):
            torch.testing.assert_close(degrade(degrade(y_0, r), s), degrade(y_0, s))
    pooled = torch.nn.functional.avg_pool2d(y_0, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(degrade(y_0, 2), pooled)


def mixture() -> Gaussians:
    return Gaussians(0.5 * random(3, 3, 8, 8, seed=5), torch.ones(3) / 3, 0.3)


def test_with_gaussian_noise_it_is_ddim() -> None:
    model, x_T = mixture(), random(2, 3, 8, 8)
    schedule, states = Schedule("linear", 1000, 12), list[Tensor]()
    a_bars = schedule.a_bar[::-1]
    wanted = list[Tensor]()
    noise = RecordedNoise(x_T, [torch.zeros_like(x_T)] * 12, {})
    ddim = sample_with(
        model, None, shape=x_T.shape, steps=12, sampler="ddim", eta=0.0, clip_denoised=False,
        noise=noise, callback=lambda step, x: wanted.append(x),
    )  # fmt: skip
    for algorithm in (1, 2):
        states.clear()
        gaussian = GaussianDegradation(a_bars, lambda x, s: model.x_0(x, a_bars[s - 1]))
        out = cold_sample(
            x_T, gaussian.restore, gaussian.degrade, 12,
            algorithm=algorithm, callback=lambda s, x: states.append(x),
        )  # fmt: skip
        for got, one in zip(states, wanted, strict=True):
            torch.testing.assert_close(got, one, rtol=0, atol=1e-12)
        torch.testing.assert_close(out, ddim, rtol=0, atol=1e-12)
        of_network = sample_cold(
            model, shape=x_T.shape, steps=12, algorithm=algorithm,
            clip_denoised=False, noise=noise,
        )  # fmt: skip
        torch.testing.assert_close(of_network, ddim, rtol=0, atol=1e-12)


def test_fixed_noise_is_x_t_throughout() -> None:
    model, x_T = mixture(), random(2, 3, 8, 8)
    a_bars = Schedule("linear", 1000, 12).a_bar[::-1]
    noise = RecordedNoise(x_T, [], {})
    outs = []
    for algorithm in (1, 2):
        x = x_T
        for s in range(12, 0, -1):
            a, x_0 = a_bars[s - 1], model.x_0(x, a_bars[s - 1])
            p = a_bars[s - 2] if s > 1 else 1.0
            less = p**0.5 * x_0 + (1 - p) ** 0.5 * x_T
            more = a**0.5 * x_0 + (1 - a) ** 0.5 * x_T
            x = less if algorithm == 1 else x - more + less
        out = sample_cold(
            model, shape=x_T.shape, steps=12, algorithm=algorithm,
            fixed_noise=True, clip_denoised=False, noise=noise,
        )  # fmt: skip
        torch.testing.assert_close(out, x, rtol=0, atol=1e-12)
        outs.append(out)
    assert float((outs[0] - outs[1]).abs().max()) > 1e-3


def test_a_picture_does_not_change_with_its_batch(exact: Exact) -> None:
    model = exact(variance=0.05)
    together = sample_cold(model, shape=(3, 3, 16, 16), steps=8, noise=SeededNoise([4, 5, 6]))
    for k in range(3):
        alone = sample_cold(model, shape=(1, 3, 16, 16), steps=8, noise=SeededNoise([4 + k]))
        torch.testing.assert_close(alone, together[k : k + 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("space", ["state", "prediction"])
def test_ilvr_guides_it(exact: Exact, some_pictures: Pictures, space: str) -> None:
    y_0, phi, shape = some_pictures(1, seed=9), LowPass(4, "box"), (2, 3, 16, 16)
    guide = ILVR(Reference(y_0, 4, kernel="box", space=space))  # type: ignore[arg-type]
    out, plain, nothing = (
        sample_cold(exact(variance=0.05), guide=one, shape=shape, steps=20, noise=SeededNoise(0))
        for one in (guide, None, ILVR(Reference(y_0, 4, weight=0.0)))
    )
    assert (phi(out) - phi(y_0)).abs().max() < 1e-5
    assert (phi(plain) - phi(y_0)).abs().max() > 0.1
    assert torch.equal(plain, nothing)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: BlurDegradation(4, [1.0]), r"size of the blur is 4; use an odd"),
        (lambda: BlurDegradation(3, []), r"stds of the blurs are \[\]"),
        (lambda: BlurDegradation(3, [0.0]), r"stds of the blurs are \[0.0\]"),
        (lambda: BlurDegradation(3, [1.0], mode="zeros"), r"mode is 'zeros'"),  # type: ignore[arg-type]
        (lambda: BlurDegradation(9, [1.0])(torch.zeros(1, 1, 4, 8), 1), r"8x4; use a smaller"),
        (lambda: GaussianDegradation([], lambda x, s: x), r"a_bars are \[\]"),
        (lambda: GaussianDegradation([0.1, 0.5], lambda x, s: x), r"give falling numbers"),
        (lambda: GaussianDegradation([1.0, 0.5], lambda x, s: x), r"below 1"),
        (
            lambda: GaussianDegradation([0.9], lambda x, s: x).degrade(torch.zeros(1), 1),
            r"no noise to degrade with",
        ),
        (lambda: cold_sample(torch.zeros(1), _called, _called, 0), r"levels is 0"),
        (
            lambda: cold_sample(torch.zeros(1), _called, _called, 2, algorithm=3),  # type: ignore[arg-type]
            r"algorithm is 3",
        ),
    ],
    ids=range(11),
)
def test_bad_settings_are_named(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()


def _called(x: Tensor, s: int) -> Tensor:
    raise AssertionError("a level was taken")
