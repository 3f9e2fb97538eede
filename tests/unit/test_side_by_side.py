"""Guides side by side: each picture of a batch is what it is alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from ilvr_latent import (
    ILVR,
    SAMPLERS,
    SDDM,
    Guide,
    GuideRun,
    InputError,
    Reference,
    Run,
    SeededNoise,
    SideBySide,
    Step,
    WeightSchedule,
    Window,
    sample_with,
)
from ilvr_latent.diffusion.guide import Denoise
from ilvr_latent.guides import BandStatistics, ClassifierGuidance

if TYPE_CHECKING:
    from tests.conftest import CountedNoise, MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]
SIZE = (3, 16, 16)


@pytest.fixture
def guides(some_pictures: Pictures) -> list[Guide | None]:
    """Guides that have nothing in common but their run."""
    y_0, z_0 = some_pictures(2, seed=4)[:, None]

    def classifier(x: Tensor, t: Tensor) -> Tensor:
        return x.mean((-2, -1))

    changing = WeightSchedule.ramp(1, 0.2)
    return [
        ILVR(Reference(y_0, 4)),
        None,
        ILVR(Reference(z_0, 2, window=Window(0, 0.4), weight=0.7), reference_noise="hybrid"),
        ILVR(Reference(y_0, 8, space="prediction", kernel="box", weight=changing)),
        SDDM(y_0, blocks=4, window=Window(0, 0.5)),
        ClassifierGuidance(classifier, 1, scale=3.0),
        BandStatistics(z_0, 0.5),
    ]


def sampled(
    model: MixtureDenoiser, guide: Guide | None, seeds: list[int], sampler: str = "ddpm"
) -> Tensor:
    shape, noise = (len(seeds), *SIZE), SeededNoise(seeds)
    return sample_with(model, guide, shape=shape, steps=6, sampler=sampler, noise=noise)


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_a_picture_is_what_it_is_alone(
    exact: Exact, guides: list[Guide | None], sampler: str
) -> None:
    model, seeds = exact(variance=0.05), [3, 3, 5, 8, 1, 3, 2]
    together = sampled(model, SideBySide([(guide, 1) for guide in guides]), seeds, sampler)
    assert len(model.seen) == 6
    for guide, seed, made in zip(guides, seeds, together, strict=True):
        alone = sampled(exact(variance=0.05), guide, [seed], sampler)[0]
        torch.testing.assert_close(made, alone, atol=2e-5, rtol=0)


def test_a_picture_does_not_know_the_others(exact: Exact, guides: list[Guide | None]) -> None:
    first, second = guides[0], guides[2]
    pairs = [(first, 2), (second, 1)], [(first, 2), (None, 1)]
    a, b = (sampled(exact(), SideBySide(parts), [1, 2, 3]) for parts in pairs)
    assert torch.equal(a[:2], b[:2])
    assert not torch.equal(a[2], b[2])


def test_of_one_guide_it_is_that_guide(exact: Exact, guides: list[Guide | None]) -> None:
    whole = sampled(exact(), guides[0], [1, 2, 3])
    assert torch.equal(sampled(exact(), SideBySide([(guides[0], 3)]), [1, 2, 3]), whole)
    parted = sampled(exact(), SideBySide([(guides[0], 1), (guides[0], 2)]), [1, 2, 3])
    torch.testing.assert_close(parted, whole, atol=1e-6, rtol=0)


def test_pictures_of_a_single_seed_have_their_own_streams(
    exact: Exact, guides: list[Guide | None]
) -> None:
    parts = SideBySide([(guides[0], 2), (guides[2], 1)])
    counted = sample_with(exact(), parts, shape=(3, *SIZE), steps=6, noise=SeededNoise(7))
    assert torch.equal(counted, sampled(exact(), parts, [7, 8, 9]))


def test_where_nothing_is_guided_it_does_nothing(exact: Exact) -> None:
    idle = SideBySide([(None, 1), (None, 2)])
    assert torch.equal(sampled(exact(), idle, [1, 2, 3]), sampled(exact(), None, [1, 2, 3]))


@dataclass
class Asking:
    """A guide that asks the network itself."""

    def begin(self, run: Run) -> GuideRun:
        return AskingRun()


class AskingRun(GuideRun):
    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        return denoiser(x_t)


def test_what_cannot_be_side_by_side_is_refused(
    exact: Exact, guides: list[Guide | None], counted_noise: CountedNoise
) -> None:
    with pytest.raises(InputError, match="Asking asks the network itself"):
        sampled(exact(), SideBySide([(Asking(), 1), (None, 1)]), [1, 2])
    with pytest.raises(InputError, match="have 2 pictures and the batch 3"):
        sampled(exact(), SideBySide([(None, 2)]), [1, 2, 3])
    for parts in ([], [(None, 0)]):
        with pytest.raises(InputError, match="no picture"):
            SideBySide(parts)
    with pytest.raises(InputError, match=r"part\(pictures\)"):
        sample_with(exact(), SideBySide([(guides[0], 1)]), shape=(1, *SIZE), noise=counted_noise)
