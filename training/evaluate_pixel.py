"""The figures and pictures of the pixel model's card.

    python -m training.evaluate_pixel [--cache DIR] [--output DIR]

Two minutes on one core: the loss on pictures that were held out, the training curve of the last
run, what flat parts show, unguided samples, and for each of those the nearest training picture, to
see whether the model recites.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from ilvr_latent import load_embedded, sample
from ilvr_latent.adm.patches import repeated
from ilvr_latent.adm.unet import ADM
from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.pictures.images import save_png, to_images
from ilvr_latent.pictures.sheet import Column, contact_sheet
from training import data
from training.diffusion import noised, velocity
from training.report import curve, nearest, resized

SAMPLES, STEPS, SIDE = 16, "100", 64
LIGHT = 0.8  # of -1 to 1


@torch.no_grad()
def velocity_error(model: ADM, x_0: Tensor) -> dict[int, float]:
    """Mean squared error of the predicted v at a few timesteps, as training sees it."""
    model.train()
    a_bars = alphas_cumprod(model.config.noise_schedule, model.config.diffusion_steps).float()
    generator = Generator().manual_seed(0)
    errors = {}
    for t in (50, 250, 500, 750, 950):
        a_bar = a_bars[t].expand(len(x_0))
        eps = torch.randn(x_0.shape, generator=generator)
        v = model(noised(x_0, eps, a_bar), torch.full((len(x_0),), t))
        errors[t] = (v - velocity(x_0, eps, a_bar)).square().mean().item()
    model.eval()
    return errors


def flat_parts(x: Tensor) -> dict[str, float]:
    """What flat parts of pictures show, in levels of 255.

    Args:
        x: (B, 3, H, W) in [-1, 1].

    Returns:
        ``grid``, the part that repeats with the patch; ``noise_of_white``, the rest that a mean of
        3x3 pixels leaves where all within seven pixels is light.
    """
    grid = repeated(x, 2)
    x = x - grid
    light = -F.max_pool2d(-(x.amin(1, keepdim=True) > LIGHT).float(), 7, 1, 3)
    mean = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    noise = (x - mean).square().mul(light).sum() / (3 * light.sum())
    return {
        "grid": 127.5 * grid.square().mean().sqrt().item(),
        "noise_of_white": 127.5 * noise.sqrt().item(),
    }


def in_ten_calls(model: ADM) -> Tensor:
    """Unguided samples."""
    shape, seeds = (SAMPLES, 3, SIDE, SIDE), list(range(SAMPLES))
    x = sample(model, None, shape=shape, steps="early10", sampler="unipc_damped", seed=seeds)
    return x.clamp(-1, 1)


def main() -> None:
    """Print the figures as JSON and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    pictures = data.load(options.cache)
    held_out = resized(pictures["images"][pictures["held_out"]], SIDE)
    trained = resized(pictures["images"][~pictures["held_out"]], SIDE)
    model = load_embedded()

    x = sample(model, None, shape=(SAMPLES, 3, SIDE, SIDE), steps=STEPS, seed=list(range(SAMPLES)))
    x = x.clamp(-1, 1)
    sample_distance, index = nearest(x, trained)
    held_out_distance, _ = nearest(held_out, trained)
    rows: list[list[Image.Image | None]] = [
        list(to_images(x[:8])),
        list(to_images(trained[index[:8]])),
        list(to_images(x[8:])),
        list(to_images(trained[index[8:]])),
    ]
    sheet = contact_sheet(rows, [Column("")] * 8, row_labels=["sample", "nearest"] * 2, cell=128)
    save_png(sheet, options.output / "emoji64-nearest.png")
    loss = curve(options.cache / "pixel" / "log.jsonl")
    save_png(loss, options.output / "emoji64-loss-last.png")
    flat = {"pictures": flat_parts(trained[:256]), "ten calls": flat_parts(in_ten_calls(model))}
    flat["ten calls, as trained"] = flat_parts(in_ten_calls(model.train()))
    figures = {
        "flat_parts": flat,
        "v_error_held_out": velocity_error(model, held_out),
        "v_error_trained": velocity_error(model, trained[:: len(trained) // 64][:64]),
        "distance_sample_to_nearest_training_picture": sample_distance.median().item(),
        "distance_held_out_to_nearest_training_picture": held_out_distance.median().item(),
        "smallest_sample_distance": sample_distance.min().item(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
