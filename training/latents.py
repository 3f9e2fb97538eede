"""The training pictures as latents: a few random views of each, encoded once.

    python -m training.latents

The encoder costs more than a step of the small UNet, so nothing is encoded twice.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor

from training import data
from training.augment import view
from training.loop import averaged_weights
from training.train_autoencoder import build

SIDE = 128
VIEWS, VIEWS_OF_SKIN_TONES = 4, 1


@dataclass(frozen=True)
class Views:
    """Latents of random views, a run of neighbours for each picture.

    Args:
        latents: (K, 4, 16, 16), fp16, of unit variance over all.
        first: (P,) index of a picture's first view.
        count: (P,) how many it has.
    """

    latents: Tensor
    first: Tensor
    count: Tensor

    def draw(self, pictures: list[int], generator: Generator) -> Tensor:
        """One view of each picture, fp32 (B, 4, 16, 16)."""
        index = torch.tensor(pictures)
        which = (torch.rand(len(pictures), generator=generator) * self.count[index]).long()
        return self.latents[self.first[index] + which].float()


def trained_autoencoder(cache: Path) -> AutoencoderTiny:
    """The averaged weights of the autoencoder's run, ready to encode."""
    model = build()
    model.load_state_dict(averaged_weights("autoencoder", cache)[0])
    return model.vae.eval().requires_grad_(False)


@torch.inference_mode()
def encode_views(pictures: dict[str, Tensor], vae: AutoencoderTiny) -> dict[str, Tensor]:
    """Encode random views of every picture, one thread a core."""
    count = torch.where(pictures["weights"] < 0.5, VIEWS_OF_SKIN_TONES, VIEWS)

    def encode(index: int) -> Tensor:
        generator = Generator().manual_seed(index)
        views = [view(pictures["images"][index], SIDE, generator) for _ in range(int(count[index]))]
        with torch.inference_mode():
            latents: Tensor = vae.encode(torch.stack(views)).latents
        return latents

    torch.set_num_threads(1)
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(encode, range(len(count)))
        latents = torch.cat(list(track(found, "encoding", total=len(count))))
    scale = latents.std()
    return {
        "latents": (latents / scale).half().contiguous(),
        "first": count.cumsum(0) - count,
        "count": count,
        "scaling_factor": 1 / scale,
    }


def load(cache: Path) -> Views:
    """The encoded views.

    Raises:
        FileNotFoundError: ``python -m training.latents`` has not been run.
    """
    stored = load_file(cache / "latents.safetensors")
    return Views(stored["latents"], stored["first"], stored["count"])


def main() -> None:
    """Encode and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    cache = parser.parse_args().cache
    stored = encode_views(data.load(cache), trained_autoencoder(cache))
    partial = cache / "latents.partial"
    save_file(stored, partial)
    partial.replace(cache / "latents.safetensors")
    print(
        f"{len(stored['latents'])} latents; scaling factor {float(stored['scaling_factor']):.4f}, "
        f"mean by channel {stored['latents'].float().mean(dim=(0, 2, 3)).tolist()}"
    )


if __name__ == "__main__":
    main()
