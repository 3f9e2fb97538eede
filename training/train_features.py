"""Train the feature network of `ilvr evaluate`: tell the training pictures apart in random views.

    OMP_NUM_THREADS=1 python -m training.train_features

Every picture without a skin tone is a class of its own. Stopped or killed, the same command goes
on from the last checkpoint.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ilvr_latent.metrics.network import DIMENSIONS, SIDE, FeatureNetwork
from training import data
from training.augment import views
from training.loop import Recipe, read_options, train

RECIPE = Recipe(
    name="features",
    images=48_000,
    batch_size=32,
    learning_rate=3e-3,
    decay=0.5,
    warm_up=50,
)
HUE_SHARE = 0.3
SMOOTHING = 0.1


class Recogniser(nn.Module):
    """The feature network, and the classifier that is thrown away afterwards.

    The features are standardised over the batch before they are classified: what all pictures have
    in common is far larger than what tells them apart, and without this hardly anything is learned.

    Args:
        classes: how many pictures there are to tell apart.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = FeatureNetwork()
        self.standardise = nn.BatchNorm1d(DIMENSIONS, affine=False, track_running_stats=False)
        self.classify = nn.Linear(DIMENSIONS, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, classes)."""
        logits: Tensor = self.classify(self.standardise(self.features(x)))
        return logits


def build(classes: int) -> Recogniser:
    """A fresh network."""
    torch.manual_seed(0)
    # torch types Module.to without its memory_format.
    return Recogniser(classes).to(memory_format=torch.channels_last)  # type: ignore


def recognised(pictures: dict[str, Tensor]) -> Tensor:
    """The pictures that are classes: without skin tones, and not held out."""
    return pictures["images"][(pictures["weights"] >= 0.5) & ~pictures["held_out"]]


def turned(images: Tensor, generator: Generator) -> Tensor:
    """One random view of each picture, many of them of a turned hue, (B, 3, 64, 64) in [-1, 1]."""
    return views(images, SIDE, generator, hue_share=HUE_SHARE)


def main() -> None:
    """Train, going on where the last run stopped."""
    recipe, chosen = read_options(__doc__, RECIPE)
    images = recognised(data.load(chosen.cache)).to(chosen.device)

    def loss(model: nn.Module, size: int, generator: Generator) -> Tensor:
        picked = torch.randint(len(images), (size,), generator=generator, device=generator.device)
        logits = model(turned(images[picked], generator))
        return F.cross_entropy(logits, picked, label_smoothing=SMOOTHING)

    train(build(len(images)), loss, recipe, chosen)


if __name__ == "__main__":
    main()
