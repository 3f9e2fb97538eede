"""Early steps, against a normal distribution whose spectrum falls as that of pictures does.

The network is the best possible one, a Wiener filter, and its flow leads from x_T to sqrt(S) x_T,
S the power of each frequency.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from ilvr_latent import SeededNoise, sample_with
from ilvr_latent.diffusion.schedule import alphas_cumprod
from tests.conftest import ExactConfig

SIDE = 64
SHAPE = (4, 3, SIDE, SIDE)
FREQUENCY = SIDE * torch.fft.fftfreq(SIDE, dtype=torch.float64)
SQUARED = FREQUENCY[:, None] ** 2 + FREQUENCY**2
# At this size the mean of a picture has some 400 times the variance of white noise.
POWER = 400 / (1 + SQUARED)


def filtered(x: Tensor, gain: Tensor) -> Tensor:
    out: Tensor = torch.fft.ifft2(torch.fft.fft2(x.double()) * gain).real
    return out


class Wiener:
    """E[x_0 | x_t], as v."""

    device = torch.device("cpu")

    def __init__(self, noise_schedule: str) -> None:
        self.config = dataclasses.replace(
            ExactConfig(), noise_schedule=noise_schedule, prediction_type="v_prediction"
        )
        self._a_bar = alphas_cumprod(noise_schedule, self.config.diffusion_steps)

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        a = self._a_bar[t].view(-1, 1, 1, 1)
        x_0 = filtered(x, a.sqrt() * POWER / (a * POWER + 1 - a))
        eps = (x.double() - a.sqrt() * x_0) / (1 - a).sqrt()
        return (a.sqrt() * eps - (1 - a).sqrt() * x_0).float()


def drawn(noise_schedule: str, steps: str) -> Tensor:
    return sample_with(
        Wiener(noise_schedule),
        None,
        shape=SHAPE,
        steps=steps,
        sampler="unipc_damped",
        clip_denoised=False,
        noise=SeededNoise(0),
    ).double()


LIMIT = filtered(SeededNoise(0).initial(SHAPE), POWER.sqrt())


def error(x: Tensor) -> float:
    return float((x - LIMIT).square().mean().sqrt() / LIMIT.square().mean().sqrt())


def amplitude(x: Tensor) -> float:
    """Of the coarse colours: what frequencies up to two cycles a picture have of the limit's."""
    coarse = (SQUARED <= 4).double()
    return float(filtered(x, coarse).std() / filtered(LIMIT, coarse).std())


@pytest.mark.parametrize(("steps", "most"), [(6, 0.2), (10, 0.08), (20, 0.05)])
def test_on_a_cosine_schedule_they_keep_the_colours(steps: int, most: float) -> None:
    even, early = (drawn("cosine", f"{kind}{steps}") for kind in ("", "early"))
    assert error(early) < most
    assert error(early) < error(even) / 2.5
    assert amplitude(early) > 1.15 * amplitude(even)


def test_ten_are_nearer_to_the_limit_than_twenty_even_ones() -> None:
    assert error(drawn("cosine", "early10")) < error(drawn("cosine", "20")) / 2


@pytest.mark.parametrize("steps", [10, 20])
def test_on_a_linear_schedule_even_steps_are_early_enough(steps: int) -> None:
    """Its even timesteps lie where the early ones of any schedule do."""
    even, early = (error(drawn("linear", f"{kind}{steps}")) for kind in ("", "early"))
    assert early < 1.5 * even
    assert even < 1.5 * early
