"""Lay the latent model that ships where the runs look for theirs, so that they go on from it.

    python -m training.shipped [--cache DIR]

Before `python -m training.styles`, whose captions must be read by the shipped tokenizer: one made
anew breaks ties otherwise, and the text encoder would take one word for another.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ilvr_latent.embedded import LATENT_MODEL, load_embedded_pipeline
from training import data
from training.latents import SCALING
from training.loop import write_averaged
from training.train_autoencoder import NoisyAutoencoder
from training.train_latent import TextToImage

AUTOENCODER_SEEN, LATENT_SEEN = 195_200, 1_880_000  # crops, and pictures, by what ships


def lay(cache: Path, pipe: Any) -> None:
    """Write the tokenizer and the averaged weights of both runs.

    Args:
        cache: that of the runs; what they have laid there is replaced, but for their checkpoints.
        pipe: the pipeline that ships.
    """
    for name in ("autoencoder", "latent"):
        (cache / name).mkdir(parents=True, exist_ok=True)
    write_averaged(NoisyAutoencoder(pipe.vae), AUTOENCODER_SEEN, cache / "autoencoder")
    scale = torch.tensor(pipe.vae.config.scaling_factor)
    save_file({"scaling_factor": scale}, cache / "autoencoder" / SCALING)
    write_averaged(TextToImage(pipe.unet, pipe.text_encoder), LATENT_SEEN, cache / "latent")
    shutil.copytree(LATENT_MODEL / "tokenizer", cache / "tokenizer", dirs_exist_ok=True)


def main() -> None:
    """Lay them into the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    lay(parser.parse_args().cache, load_embedded_pipeline())


if __name__ == "__main__":
    main()
