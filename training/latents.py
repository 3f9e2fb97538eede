"""The training pictures as latents: a few random views of each, encoded once.

    python -m training.latents

The encoder costs more than a step of the small UNet, so nothing is encoded in the training loop.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor

from training import data, styles
from training.augment import views
from training.cpu import multiplies_bf16
from training.loop import averaged_weights
from training.train_autoencoder import build

SIDE, BATCH = 128, 64
SCALING = "scaling.safetensors"


def trained_autoencoder(cache: Path) -> AutoencoderTiny:
    """The averaged weights of the autoencoder's run, ready to encode."""
    model = build()
    model.load_state_dict(averaged_weights("autoencoder", cache)[0])
    vae = model.vae.eval().requires_grad_(False)
    return vae.to(memory_format=torch.channels_last)


@torch.inference_mode()
def encode_views(pictures: dict[str, Tensor], vae: AutoencoderTiny, count: int) -> Tensor:
    """Latents of random views of every picture, fp16 (K, count, 8, 16, 16)."""
    device = vae.device
    generator = Generator(device).manual_seed(0)
    parts = torch.split(pictures["images"], BATCH)
    encoded = []
    for _ in track(range(count), "encoding"):
        drawn = (views(part.to(device), SIDE, generator) for part in parts)
        latents = [
            vae.encode(x.contiguous(memory_format=torch.channels_last)).latents for x in drawn
        ]
        encoded.append(torch.cat(latents).half().cpu())
    return torch.stack(encoded, dim=1)


def load(cache: Path) -> dict[str, Tensor]:
    """``latents`` fp16 (K, V, 8, 16, 16) of unit variance.

    Raises:
        FileNotFoundError: ``python -m training.latents`` has not been run.
    """
    return load_file(cache / "latents.safetensors")


def scaling_factor(cache: Path) -> float:
    """What makes the autoencoder's latents of unit variance."""
    return load_file(cache / "autoencoder" / SCALING)["scaling_factor"].item()


def main() -> None:
    """Encode and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--views", type=int, default=4, help="of each picture")
    options = parser.parse_args()
    if multiplies_bf16():
        # Twice as fast. Autocast, which rounds what lies between the layers too, tints white.
        torch.backends.mkldnn.conv.fp32_precision = "bf16"  # type: ignore[attr-defined]
    pictures = styles.load(options.cache)
    vae = trained_autoencoder(options.cache).to(options.device)
    z = encode_views(pictures, vae, options.views)
    scale = z[pictures["style"] != styles.PHOTOGRAPH].float().std()
    partial = options.cache / "latents.partial"
    save_file({"latents": (z / scale.half()).contiguous()}, partial)
    partial.replace(options.cache / "latents.safetensors")
    save_file({"scaling_factor": 1 / scale}, options.cache / "autoencoder" / SCALING)
    print(f"{tuple(z.shape)} latents; scaling factor {1 / scale:.4f}")


if __name__ == "__main__":
    main()
