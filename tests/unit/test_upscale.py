"""A picture drawn again, larger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import InputError, LowPass, WeightSchedule
from ilvr_latent.upscaling import enlarged, upscale, upscaled_side, upscaling_reference

SMALL = 16


@dataclass(frozen=True)
class Config:
    image_size: int = SMALL
    image_channels: int = 3
    noise_schedule: str = "linear"
    diffusion_steps: int = 1000
    prediction_type: str = "sample"
    learn_sigma: bool = False
    sigma_small: bool = False
    num_classes: int | None = None


@dataclass
class Stubborn:
    """A network that sees one picture in everything, and no other size than its own."""

    picture: Tensor
    calls: int = 0
    config: Config = field(default_factory=Config)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        self.calls += len(x)
        assert x.shape[-2:] == (SMALL, SMALL)
        return self.picture.expand_as(x).clone()


def small(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 4, 4, generator=generator) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, (SMALL, SMALL), mode="bilinear")


def made(**given: Any) -> tuple[Tensor, Stubborn]:
    network = Stubborn(small(1))
    usual: dict[str, Any] = {"steps": 10, "sampler": "ddim", "eta": 0.0}
    return upscale(network, small(), 2, **{**usual, **given}), network


def apart(x: Tensor, factor: float = 4.0) -> float:
    y = enlarged(small(), x.shape[-2:])
    return float(LowPass(factor)(x - y).norm() / LowPass(factor)(y).norm())


def test_enlarging_keeps_constants_and_the_mean_and_what_it_enlarged() -> None:
    x = small()
    assert torch.allclose(enlarged(torch.full((1, 3, 5, 7), 0.3), (11, 21)), torch.tensor(0.3))
    large = enlarged(x, (32, 48))
    assert large.shape == (1, 3, 32, 48)
    assert float(large.mean()) == pytest.approx(float(x.mean()), abs=0.02)
    assert torch.equal(enlarged(x, (SMALL, SMALL)), x)


def test_the_large_picture_follows_the_small_one_and_each_window_its_own_part() -> None:
    free, _ = made(weight=0.0)
    held, _ = made(weight=1.0)
    falling, _ = made(weight=WeightSchedule.ramp(1.0, 0.5))
    assert held.shape == (1, 3, 32, 32)
    assert apart(held) < 0.1
    assert apart(held) < apart(falling) < apart(free)


def test_n_grows_with_the_scale() -> None:
    for scale in (2, 4):
        assert upscaling_reference(small(), scale, factor=1.5).factor == 1.5 * scale
    assert upscaling_reference(small(), 1.0, factor=0.25).factor == 1.0


def test_denoise_says_how_many_steps_are_taken_of_each_window() -> None:
    for denoise, steps in ((1.0, 10), (0.5, 5), (0.01, 1)):
        _, network = made(denoise=denoise)
        assert network.calls == steps * 9
    assert made(overlap=0.0, denoise=1.0)[1].calls == 10 * 4


def test_a_picture_does_not_change_with_its_batch_or_the_windows_at_once() -> None:
    network = Stubborn(small(1))
    both = upscale(network, torch.cat([small(0), small(2)]), 2, steps=4, seed=[5, 9], batch=3)
    one = upscale(network, small(2), 2, steps=4, seed=9)
    assert torch.allclose(both[1:], one, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"denoise": 0.0}, "denoise is 0"),
        ({"denoise": 1.1}, "denoise is 1.1"),
        ({"overlap": 1.0}, "overlap is 1"),
        ({"weight": 2.0}, "weight is 2"),
        ({"end": 0.0}, "window"),
    ],
)
def test_what_cannot_be_used_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        made(**given)


def test_scales_and_sides_that_cannot_be_used_are_refused() -> None:
    for scale in (0.5, 17.0, float("nan")):
        with pytest.raises(InputError, match="The scale is"):
            upscaled_side(64, scale)
    with pytest.raises(InputError, match="less than a cell"):
        upscaled_side(3, 1.0, 8)
    assert upscaled_side(100, 1.5, 8) == 152
