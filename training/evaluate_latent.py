"""The figures and pictures of the latent model's card.

    python -m training.evaluate_latent [--cache DIR] [--output DIR]

How well the autoencoder keeps pictures, the loss on pictures that were held out, samples by prompt
and guidance scale, and their nearest training pictures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Generator, Tensor

from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.embedded import REFERENCES, load_embedded_pipeline
from ilvr_latent.pictures.images import fit_to, read_image, save_png, to_images, to_tensor
from ilvr_latent.pictures.sheet import Column, contact_sheet
from training import captions, data
from training.diffusion import noised, velocity
from training.evaluate_prompts import drawn
from training.report import curve, nearest, psnr, resized

SIDE, STEPS = 128, 30
PROMPTS = (
    "a red apple",
    "cat face",
    "smiling face with sunglasses",
    "blue heart",
    "sports car",
    "sunflower",
    "house with garden",
    "rocket",
)
GUIDANCE_SCALES = (1.0, 3.0, 6.0)


@torch.inference_mode()
def reconstructed(pipe: StableDiffusionPipeline, images: Tensor) -> Tensor:
    """Encoded and decoded, a few at a time."""
    parts = [
        pipe.vae.decode(pipe.vae.encode(part).latents).sample for part in torch.split(images, 8)
    ]
    return torch.cat(parts).clamp(-1, 1)


@torch.inference_mode()
def velocity_error(
    pipe: StableDiffusionPipeline, images: Tensor, prompts: list[str]
) -> dict[int, float]:
    """Mean squared error of the predicted v at a few timesteps, each picture with its name."""
    a_bars = alphas_cumprod("scaled_linear", 1000).float()
    generator = Generator().manual_seed(0)
    x_0 = torch.cat([pipe.vae.encode(part).latents for part in torch.split(images, 8)])
    x_0 = x_0 * pipe.vae.config.scaling_factor
    states, _ = pipe.encode_prompt(prompts, "cpu", 1, False)
    errors = {}
    for t in (50, 250, 500, 750, 950):
        a_bar = a_bars[t].expand(len(x_0))
        eps = torch.randn(x_0.shape, generator=generator)
        v = pipe.unet(noised(x_0, eps, a_bar), t, encoder_hidden_states=states).sample
        errors[t] = (v - velocity(x_0, eps, a_bar)).square().mean().item()
    return errors


def main() -> None:
    """Print the figures as JSON and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    pictures = data.load(options.cache)
    held_out, trained = pictures["held_out"], ~pictures["held_out"]
    npm = options.cache / "npm"
    names = [caption[0] for caption in captions.captions(data.select(npm), npm)]
    pipe = load_embedded_pipeline()
    pipe.set_progress_bar_config(disable=True)

    unseen = resized(pictures["images"][held_out], SIDE)
    files = sorted(REFERENCES.glob("*.png"))
    references = torch.cat([to_tensor(fit_to(read_image(f), (SIDE, SIDE))) for f in files])
    kept = reconstructed(pipe, references)
    columns = [Column(file.stem.replace("_", "\n")) for file in files]
    rows: list[list[Image.Image | None]] = [list(to_images(references)), list(to_images(kept))]
    sheet = contact_sheet(rows, columns, row_labels=["picture", "decoded"], cell=96)
    save_png(sheet, options.output / "emoji-latent-autoencoder.png")

    by_scale = [drawn(pipe, list(PROMPTS), scale, STEPS) for scale in GUIDANCE_SCALES]
    pool = resized(pictures["images"][trained], 32)
    small = torch.nn.functional.interpolate(by_scale[1], (32, 32), mode="area")
    distance, index = nearest(small, pool)
    held_out_distance, _ = nearest(resized(pictures["images"][held_out], 32), pool)
    rows = [list(to_images(x)) for x in by_scale]
    rows.append(list(to_images(resized(pictures["images"][trained][index], SIDE))))
    labels = [f"guidance {scale:g}" for scale in GUIDANCE_SCALES] + ["nearest to\nguidance 3"]
    columns = [Column(prompt.replace(" ", "\n", 1)) for prompt in PROMPTS]
    sheet = contact_sheet(rows, columns, row_labels=labels, cell=128)
    save_png(sheet, options.output / "emoji-latent-prompts.png")
    # That of the run before is kept: its log was another.
    loss = curve(options.cache / "latent" / "log.jsonl")
    save_png(loss, options.output / "emoji-latent-loss-prolonged.png")

    known: list[int] = torch.nonzero(trained).flatten()[:: int(trained.sum()) // 64][:64].tolist()
    seen = resized(pictures["images"][known], SIDE)
    figures = {
        "psnr_held_out": psnr(unseen, reconstructed(pipe, unseen)).mean().item(),
        "psnr_references": dict(
            zip((f.stem for f in files), psnr(references, kept).tolist(), strict=True)
        ),
        "psnr_references_mean": psnr(references, kept).mean().item(),
        "v_error_held_out": velocity_error(
            pipe, unseen, [name for name, out in zip(names, held_out, strict=True) if out]
        ),
        "v_error_trained": velocity_error(pipe, seen, [names[k] for k in known]),
        "distance_sample_to_nearest_training_picture": distance.tolist(),
        "distance_held_out_to_nearest_training_picture": held_out_distance.median().item(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
