"""Write the averaged weights of the classifier's run as the checkpoint that ships, in fp16.

python -m training.export_classifier [--cache DIR] [--output FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import save_file

from ilvr_latent.shipped import CLASSIFIER
from training import data
from training.loop import averaged_weights


def main() -> None:
    """Read the averaged weights and write them under guided-diffusion's names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--output", type=Path, default=CLASSIFIER)
    options = parser.parse_args()
    weights, seen = averaged_weights("classifier", options.cache)
    save_file({name: tensor.half() for name, tensor in weights.items()}, options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {seen} pictures")


if __name__ == "__main__":
    main()
