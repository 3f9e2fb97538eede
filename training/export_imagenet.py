"""Write the features that EfficientNet-Lite0 sees in the embedded model's domain.

    python -m training.export_imagenet [--cache DIR]

Needs the extra ``imagenet``. The pictures are the first of those that ``export_features`` draws.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Generator

from ilvr_latent.metrics.domain import IMAGENET_DOMAIN, pooled_features
from ilvr_latent.metrics.imagenet import load_imagenet_network
from training import data
from training.export_features import DOMAIN_VIEWS, views_of_held_out
from training.train_pixel import Views

# Of 1,280 numbers each: more would be a large file.
KEPT = 512


def main() -> None:
    """Read the training pictures and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    cache = parser.parse_args().cache
    generator = Generator().manual_seed(0)
    x = Views(cache, torch.device("cpu")).draw(DOMAIN_VIEWS, generator)
    held_out = views_of_held_out(data.load(cache), generator)
    network = load_imagenet_network()
    features = {
        "features": pooled_features(network, x[:KEPT]),
        "held_out": pooled_features(network, held_out),
    }
    # Half the file of fp16; FID moves by 0.02 of 200, KID x 1000 by 0.1.
    save_file({name: z.to(torch.float8_e4m3fn) for name, z in features.items()}, IMAGENET_DOMAIN)
    print(f"{IMAGENET_DOMAIN}: {IMAGENET_DOMAIN.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
