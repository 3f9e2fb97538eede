"""The figures and pictures of the pixel model's card.

    python -m training.evaluate_pixel [--cache DIR] [--output DIR]

Two minutes on one core: the loss on pictures that were held out, the training curve, unguided
samples, and for each of those the nearest training picture, to see whether the model recites.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Generator, Tensor

from ilvr_latent import load_embedded, sample
from ilvr_latent.adm.unet import ADM
from ilvr_latent.images import save_png, to_images
from ilvr_latent.schedule import alphas_cumprod
from ilvr_latent.sheet import Column, contact_sheet
from training import data
from training.diffusion import noised, velocity

SAMPLES, STEPS, SIDE = 16, "100", 64


def small(images: Tensor) -> Tensor:
    """uint8 (K, 3, 128, 128) to (K, 3, 64, 64) in [-1, 1]."""
    x = F.interpolate(images.float() / 127.5 - 1, (SIDE, SIDE), mode="bicubic", antialias=True)
    return x.clamp(-1, 1)


@torch.no_grad()
def velocity_error(model: ADM, x_0: Tensor) -> dict[int, float]:
    """Mean squared error of the predicted v at a few timesteps."""
    a_bars = alphas_cumprod(model.config.noise_schedule, model.config.diffusion_steps).float()
    generator = Generator().manual_seed(0)
    errors = {}
    for t in (50, 250, 500, 750, 950):
        a_bar = a_bars[t].expand(len(x_0))
        eps = torch.randn(x_0.shape, generator=generator)
        v = model(noised(x_0, eps, a_bar), torch.full((len(x_0),), t))
        errors[t] = (v - velocity(x_0, eps, a_bar)).square().mean().item()
    return errors


def nearest(queries: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """RMS distance to the nearest picture of a pool, mirrored or not, and its index."""
    q = queries.flatten(1)
    distances = torch.minimum(
        torch.cdist(q, pool.flatten(1)), torch.cdist(q, pool.flip(-1).flatten(1))
    )
    best = distances.min(dim=1)
    return best.values / q.shape[1] ** 0.5, best.indices


def curve(log: Path) -> Image.Image:
    """The training loss against pictures seen, both axes logarithmic."""
    records = [json.loads(line) for line in log.read_text().splitlines()]
    points = torch.tensor([[r["seen"], r["loss"]] for r in records]).log10()
    low, high = points.min(dim=0).values, points.max(dim=0).values
    width, height, left, top = 560, 260, 70, 20
    picture = Image.new("RGB", (width + left + 20, height + top + 50), "white")
    draw = ImageDraw.Draw(picture)
    scaled = (points - low) / (high - low)
    line = [(left + x * width, top + (1 - y) * height) for x, y in scaled.tolist()]
    draw.line(line, fill=(200, 60, 40), width=2)
    draw.rectangle((left, top, left + width, top + height), outline=(160, 160, 160))
    for value, y in ((high[1], top), (low[1], top + height)):
        draw.text((left - 6, y), f"{10**value:.3g}", "black", anchor="rm")
    for value, x in ((low[0], left), (high[0], left + width)):
        draw.text((x, top + height + 14), f"{10**value:,.0f}", "black", anchor="mm")
    draw.text((left + width / 2, top + height + 34), "pictures seen", "black", anchor="mm")
    draw.text((left + width - 8, top + 8), "min-SNR weighted v-loss", "black", anchor="ra")
    return picture


def main() -> None:
    """Print the figures as JSON and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    pictures = data.load(options.cache)
    held_out = small(pictures["images"][pictures["held_out"]])
    trained = small(pictures["images"][~pictures["held_out"]])
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
    save_png(curve(options.cache / "pixel" / "log.jsonl"), options.output / "emoji64-loss.png")
    figures = {
        "v_error_held_out": velocity_error(model, held_out),
        "v_error_trained": velocity_error(model, trained[:: len(trained) // 64][:64]),
        "distance_sample_to_nearest_training_picture": sample_distance.median().item(),
        "distance_held_out_to_nearest_training_picture": held_out_distance.median().item(),
        "smallest_sample_distance": sample_distance.min().item(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
