"""The figures of the feature network's card.

    python -m training.evaluate_features [--cache DIR]

How often one view of a picture is nearest to another view of the same one, and how perceptual
distances order a picture's own views, its relatives and strangers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Generator, Tensor

from ilvr_latent.metrics.domain import pooled_features
from ilvr_latent.metrics.network import SIDE, FeatureNetwork, load_feature_network
from ilvr_latent.metrics.perceptual import perceptual_distance
from training import data
from training.report import resized
from training.train_features import recognised, turned

SHOWN = 256


@torch.inference_mode()
def recall(network: FeatureNetwork, images: Tensor, generator: Generator) -> float:
    """The share of views whose nearest other-view, by pooled features, is of the same picture."""
    first, second = (pooled_features(network, turned(images, generator)) for _ in range(2))
    nearest = torch.cdist(first, second).argmin(dim=1)
    return (nearest == torch.arange(len(images))).float().mean().item()


@torch.inference_mode()
def distances(network: FeatureNetwork, images: Tensor, generator: Generator) -> dict[str, float]:
    """Mean perceptual distance of a picture from changed copies of itself and from another."""
    x = resized(images, SIDE)
    noise = torch.randn(x.shape, generator=generator)
    compared = {
        "noise 0.1": x + 0.1 * noise,
        "noise 0.3": x + 0.3 * noise,
        "moved by two pixels": x.roll((2, 2), dims=(-2, -1)),
        "mirrored": x.flip(-1),
        "another picture": x.roll(1, dims=0),
    }
    levels = network.levels(x)
    return {
        name: perceptual_distance(levels, network.levels(changed)).mean().item()
        for name, changed in compared.items()
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    pictures = data.load(parser.parse_args().cache)
    network = load_feature_network()
    generator = Generator().manual_seed(0)
    held_out = pictures["images"][pictures["held_out"]]
    figures = {
        "recall of held-out pictures": recall(network, held_out, generator),
        f"recall of {SHOWN} training pictures": recall(
            network, recognised(pictures)[:SHOWN], generator
        ),
        "distance": distances(network, held_out, generator),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
