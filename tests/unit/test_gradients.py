"""Gradients of guides within the gradients of others, and in inference mode."""

from __future__ import annotations

import torch
from torch import Tensor

from ilvr_latent import Guides, SeededNoise, sample_with
from ilvr_latent.diffusion.gradients import gradient_through
from ilvr_latent.guides import ClassifierGuidance, ClipGuidance, UniversalGuidance
from tests.gaussians import Gaussians

SHAPE = (2, 3, 8, 8)


def test_a_gradient_within_another_is_a_constant_there() -> None:
    x = torch.tensor([[1.0, 2.0]])

    def shifted(x: Tensor) -> Tensor:
        twice, slope = gradient_through(lambda x: 2 * x, lambda y: y.square().sum(1), x)
        torch.testing.assert_close(slope, 8 * x)
        return twice - slope

    result, slope = gradient_through(shifted, lambda y: y.sum(1), x)
    torch.testing.assert_close(result, -6 * x)
    torch.testing.assert_close(slope, torch.full_like(x, 2.0))
    assert not result.requires_grad


def exact() -> Gaussians:
    return Gaussians.one(torch.zeros(1, *SHAPE[1:]), 0.5)


def near(colour: float) -> UniversalGuidance:
    return UniversalGuidance(lambda x_0: (x_0 - colour).square().flatten(1).sum(1), weight=0.05)


def test_two_guides_differentiate_through_one_network() -> None:
    def run(*guides: UniversalGuidance | ClipGuidance) -> Tensor:
        return sample_with(
            exact(), Guides(*guides), shape=SHAPE, steps="5", sampler="ddim",
            noise=SeededNoise(0),
        )  # fmt: skip

    clip = ClipGuidance(lambda x: x.mean((2, 3)), torch.ones(1, 3), scale=0.1)
    alone, both = run(near(0.5)), run(near(0.5), clip)
    assert bool(both.isfinite().all())
    assert not torch.equal(both, alone)
    assert abs(run(near(0.5), near(0.5)).mean() - 0.5) < abs(alone.mean() - 0.5)


def test_labels_given_in_inference_mode() -> None:
    with torch.inference_mode():
        weights = torch.ones(4, 3)
        guide = ClassifierGuidance(lambda x, t: x.mean((2, 3)) @ weights.clone().T, 1)
        out = sample_with(exact(), guide, shape=SHAPE, steps="3", noise=SeededNoise(0))
    assert bool(out.isfinite().all())
