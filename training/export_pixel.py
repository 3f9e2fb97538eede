"""Write the averaged weights of a pixel run as the checkpoint that ships, in fp16.

python -m training.export_pixel [--cache DIR] [--output FILE] [--wide]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ilvr_latent.adm import save_adm
from ilvr_latent.embedded import PIXEL_MODEL
from training import data
from training.loop import averaged_weights
from training.train_pixel import CONFIG, WIDE, build


def main() -> None:
    """Read the last checkpoint and write its averaged weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--output", type=Path, default=PIXEL_MODEL)
    parser.add_argument("--wide", action="store_true", help="the run was --wide")
    options = parser.parse_args()
    weights, seen = averaged_weights("pixel", options.cache)
    model = build(WIDE if options.wide else CONFIG)
    model.load_state_dict(weights)
    save_adm(model, options.output, dtype=torch.float16)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {seen} pictures")


if __name__ == "__main__":
    main()
