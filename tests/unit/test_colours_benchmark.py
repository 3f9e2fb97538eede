"""What the benchmark of colours stands on: the stand-in, and its tables."""

from __future__ import annotations

import math

import torch

from benchmarks.colours.stand_in import Wiener
from benchmarks.colours.tables import Record, tables

SIDE = 8


def latents(count: int, seed: int) -> torch.Tensor:
    """Two channels that go together, smooth, about a mean of their own."""
    generator = torch.Generator().manual_seed(seed)
    smooth = torch.nn.functional.avg_pool2d(
        torch.randn(count, 1, SIDE + 2, SIDE + 2, generator=generator), 3, stride=1
    )
    own = 0.1 * torch.randn(count, 2, SIDE, SIDE, generator=generator)
    return smooth * torch.tensor([3.0, 2.0]).view(1, 2, 1, 1) + own + 0.7


def test_the_stand_in_is_a_better_denoiser_than_any_shrinking_of_the_state() -> None:
    denoiser, x_0 = Wiener(latents(400, 0)), latents(100, 1)
    generator = torch.Generator().manual_seed(2)
    for t in (200, 500, 800):
        a = float(denoiser.a_bar[t])
        eps = torch.randn(x_0.shape, generator=generator)
        x_t = math.sqrt(a) * x_0 + math.sqrt(1 - a) * eps
        error = (denoiser(x_t, torch.full((100,), t)) - x_0).square().mean()
        shrunk = [(k / 20 / math.sqrt(a) * x_t - x_0).square().mean() for k in range(21)]
        assert error < 0.7 * min(shrunk)


def test_of_nothing_but_noise_it_makes_the_mean() -> None:
    x = latents(50, 0)
    denoiser = Wiener(x)
    made = denoiser(torch.zeros(1, 2, SIDE, SIDE), torch.tensor([999]))
    assert torch.allclose(made, denoiser.mean.expand_as(made), atol=0.02)


def test_a_table_has_the_worst_and_the_mean_of_each_way() -> None:
    found: list[Record] = [
        {
            "table": "img2img, stand-in",
            "way": "stock",
            "numbers": {
                "quarter": [value], "eighth": [1.0], "dB": [20 - value], "seconds": [1.0],
            },
        }
        for value in (2.0, 4.0)
    ]  # fmt: skip
    assert "| stock | 3 | 4 | 1 | 16 | 1 |" in tables(found)
