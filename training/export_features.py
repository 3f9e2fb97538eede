"""Write the feature network that ships, and the features of the embedded model's domain.

    python -m training.export_features [--cache DIR]

The network's projection is scaled so that over the domain every feature has mean 0 and variance 1:
the FID of many equal pictures would be 64 or more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Generator, Tensor

from ilvr_latent.metrics.domain import EMBEDDED_DOMAIN, pooled_features
from ilvr_latent.metrics.network import FEATURE_NETWORK, SIDE, FeatureNetwork
from training import data
from training.augment import views
from training.loop import averaged_weights
from training.train_features import build, recognised
from training.train_pixel import Views

DOMAIN_VIEWS = 2048
VIEWS_OF_HELD_OUT = 2


def trained_network(pictures: dict[str, Tensor], cache: Path) -> tuple[FeatureNetwork, int]:
    """The averaged weights of the last run, and how many pictures they have seen."""
    model = build(len(recognised(pictures)))
    weights, seen = averaged_weights("features", cache)
    model.load_state_dict(weights)
    return model.features.eval().requires_grad_(False), seen


def standardise(network: FeatureNetwork, x: Tensor) -> None:
    """Scale the projection so that every feature has mean 0 and variance 1 over ``x``."""
    z = pooled_features(network, x)
    mean, scale = z.mean(dim=0), z.std(dim=0)
    network.project.weight /= scale[:, None]
    network.project.bias.copy_((network.project.bias - mean) / scale)


def views_of_held_out(pictures: dict[str, Tensor], generator: Generator) -> Tensor:
    """Random views of the held-out pictures, each of them once before any comes again."""
    held_out = pictures["images"][pictures["held_out"]]
    return torch.cat([views(held_out, SIDE, generator) for _ in range(VIEWS_OF_HELD_OUT)])


def main() -> None:
    """Read the last checkpoint and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    cache = parser.parse_args().cache
    pictures = data.load(cache)
    network, seen = trained_network(pictures, cache)
    generator = Generator().manual_seed(0)
    x = Views(cache, torch.device("cpu")).draw(
        DOMAIN_VIEWS, generator
    )  # what the pixel model is trained on
    standardise(network, x)
    network.half().float()  # what is measured is what ships
    features = {
        "features": pooled_features(network, x),
        "held_out": pooled_features(network, views_of_held_out(pictures, generator)),
    }
    weights = network.half().state_dict()
    save_file({name: weight.contiguous() for name, weight in weights.items()}, FEATURE_NETWORK)
    save_file({name: z.half() for name, z in features.items()}, EMBEDDED_DOMAIN)
    for path in (FEATURE_NETWORK, EMBEDDED_DOMAIN):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {seen} pictures")


if __name__ == "__main__":
    main()
