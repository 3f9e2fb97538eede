"""Guides that take gradients let go of them: nothing that a step made outlives it."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from ilvr_latent import EGSDE, SDDM, Guide, SeededNoise, Step, Window, sample_with
from ilvr_latent.guides import (
    ClassifierGuidance,
    ClipGuidance,
    UniversalGuidance,
    feature_energy,
    losses,
)

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

SHAPE = (2, 3, 16, 16)
Exact = Callable[..., "MixtureDenoiser"]
torch.manual_seed(0)
NETWORK = nn.Conv2d(3, 8, 3, padding=1)


def features(x: Tensor, t: Tensor) -> Tensor:
    maps: Tensor = NETWORK(x).tanh() * (1 + t.view(-1, 1, 1, 1) / 1000)
    return maps


def logits(x: Tensor, t: Tensor) -> Tensor:
    return features(x, t).mean((2, 3))


def embedding(x: Tensor) -> Tensor:
    maps: Tensor = NETWORK(x)
    return maps.mean((2, 3))


GUIDES: dict[str, Callable[[Tensor], Guide]] = {
    "egsde": lambda y: EGSDE(y, features=features, factor=4),
    "sddm": lambda y: SDDM(
        y,
        blocks=4,
        window=Window(),
        energies=[feature_energy(features, y, blocks=4)],
    ),
    "classifier": lambda y: ClassifierGuidance(logits, 3, scale=2.0),
    "clip": lambda y: ClipGuidance(embedding, torch.ones(1, 8)),
    "forward": lambda y: UniversalGuidance(losses.colour_histogram(y), weight=2.0),
    "backward": lambda y: UniversalGuidance(losses.edges(y), backward_steps=2, backward_lr=1.0),
    "recurrence": lambda y: UniversalGuidance(losses.edges(y), weight=2.0, recurrence=2),
}


def alive() -> tuple[int, int]:
    """Tensors that there are, and their numbers; those with a graph count as a failure."""
    gc.collect()
    with warnings.catch_warnings():
        # Some of the objects warn when they are looked at.
        warnings.simplefilter("ignore")
        found = [each for each in gc.get_objects() if type(each) is Tensor]
    assert all(each.grad_fn is None for each in found)
    return len(found), sum(each.numel() for each in found)


@pytest.mark.parametrize("name", GUIDES)
def test_no_more_is_kept_after_the_last_step_than_after_the_second(
    exact: Exact, some_pictures: Callable[..., Tensor], name: str
) -> None:
    y_0 = some_pictures(1, seed=9)
    after: list[tuple[int, int]] = []
    model = exact()

    def look(step: Step, x: Tensor) -> None:
        model.seen.clear()
        after.append(alive())

    guide = GUIDES[name](y_0)
    sample_with(model, guide, shape=SHAPE, steps=6, noise=SeededNoise(0), callback=look)
    assert len(set(after[2:])) == 1, after
