"""What networks and losses of a guide cannot be is said in one sentence, before the first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import EGSDE, SDDM, Guide, InputError, SeededNoise, sample_with
from ilvr_latent.adm import adm_classifier
from ilvr_latent.adm.classifier_network import ADMClassifier, ClassifierConfig
from ilvr_latent.guides import ClassifierGuidance, UniversalGuidance, feature_energy

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

SHAPE = (2, 3, 16, 16)
Exact = Callable[..., "MixtureDenoiser"]


def classifier(**changes: Any) -> ADMClassifier:
    given: dict[str, Any] = {
        **{"image_size": 16, "width": 32, "depth": 1, "channel_mult": (1, 2)},
        **{"attention_downsampling": (2,), "num_head_channels": 32, "num_classes": 5},
        **changes,
    }
    torch.manual_seed(0)
    return adm_classifier(given, ADMClassifier(ClassifierConfig(**given)).state_dict())


def five(x: Tensor, t: Tensor) -> Tensor:
    return x.flatten(1)[:, :5]


def cases(y: Tensor) -> list[tuple[str, Guide]]:
    small, cosine = classifier(image_size=8), classifier(noise_schedule="cosine")
    nan, picture = (lambda x: x.sum((1, 2, 3)) * torch.nan), (lambda x: x)
    wide = classifier(image_size=8, pool="adaptive")
    return [
        (r"label is 5; this classifier has 0 to 4", ClassifierGuidance(classifier(), 5)),
        (r"label is -1; this classifier has 0 to 4", ClassifierGuidance(classifier(), [0, -1])),
        (r"label is 7; this classifier has 0 to 4", ClassifierGuidance(five, 7)),
        (r"3 class labels for a batch of 2", ClassifierGuidance(five, [0, 1, 2])),
        (r"shape \(2,\) for 2 pictures; it must give logits",
         ClassifierGuidance(lambda x, t: x.sum((1, 2, 3)), 0)),
        (r"pictures of 3x8x8, not of 3x16x16", ClassifierGuidance(small, 0)),
        (r"pictures of 3x8x8, not of 3x16x16", ClassifierGuidance(wide, 0)),
        (r"noise of a cosine schedule", ClassifierGuidance(cosine, 0)),
        (r"noise of a cosine schedule", EGSDE(y, features=cosine.features, factor=4)),
        (r"pictures of 3x8x8", EGSDE(y, features=small.features, factor=4)),
        (r"noise of a cosine schedule",
         SDDM(y, blocks=4, energies=[feature_energy(cosine.features, y, blocks=None)])),
        (r"loss is NaN", UniversalGuidance(nan, weight=1.0)),
        (r"loss gave a result of shape \(2, 3, 16, 16\)", UniversalGuidance(picture, weight=1.0)),
        (r"loss gave a result of shape \(\)",
         UniversalGuidance(lambda x: x.sum(), backward_steps=1, backward_lr=1.0)),
        (r"energy .* is NaN", SDDM(y, blocks=4, energies=[nan])),
        (r"An energy gave a result of shape", SDDM(y, blocks=4, energies=[picture])),
        (r"does not divide into 5x5 equal blocks .* use 1, 2, 4 or 8", SDDM(y, blocks=5)),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(17))
def test_it_is_refused_before_the_network_is_called(
    exact: Exact, some_pictures: Callable[..., Tensor], number: int
) -> None:
    model = exact()
    named, guide = cases(some_pictures(1, seed=9))[number]
    with pytest.raises(InputError, match=named) as refused:
        sample_with(model, guide, shape=SHAPE, steps=4, noise=SeededNoise(0))
    assert "\n" not in str(refused.value)
    assert model.seen == []


def test_recurrence_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="recurrence 0; use at least 0 and at least 1"):
        UniversalGuidance(lambda x: x.sum((1, 2, 3)), weight=1.0, recurrence=0)


def test_what_fits_is_not_refused(exact: Exact, some_pictures: Callable[..., Tensor]) -> None:
    """A classifier that says its schedule, on a model of that schedule."""
    network = classifier(noise_schedule="linear")
    guide = ClassifierGuidance(network, [0, 4])
    x = sample_with(exact(), guide, shape=SHAPE, steps=4, noise=SeededNoise(0))
    assert bool(torch.isfinite(x).all())
