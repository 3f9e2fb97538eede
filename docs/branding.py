"""Icon and banner for the registry: ``python docs/branding.py FOLDER``.

Left of the slant a reference in blocks, right of it what the embedded model makes of it;
``make gallery`` calls this.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

from ilvr_latent import LowPass, Reference, Window
from ilvr_latent.embedded import REFERENCES, load_embedded_pipeline
from ilvr_latent.pictures.images import read_image, to_images, to_tensor
from ilvr_latent.pipelines import ILVRCallback, encode_reference

APPLE = REFERENCES / "noto_apple.png"
PROMPTS = ("red apple", "red heart", "cat face")
# As in docs/images/latent.webp: N = 2 of the 16 cells along a side, each of 8 pixels.
FACTOR, CELL, BLOCKS = 2.0, 8, 8
STEPS, GUIDANCE_SCALE, SEED = 20, 4.0, 3
# The registry's: at most 400x400, and 21 to 9.
ICON, BANNER = (400, 400), (1260, 540)
INK, PAPER = (32, 33, 36), (255, 255, 255)
SLANT = 0.12


def samples() -> list[Image.Image]:
    """One picture for each prompt, 128x128, from the same reference and noise."""
    pipe = load_embedded_pipeline()
    y_0 = encode_reference(pipe, read_image(APPLE))
    return [_sample(pipe, y_0, prompt) for prompt in PROMPTS]


def _sample(pipe: Any, y_0: torch.Tensor, prompt: str) -> Image.Image:
    made: Image.Image = pipe(
        prompt,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE_SCALE,
        generator=torch.Generator().manual_seed(SEED),
        callback_on_step_end=ILVRCallback(
            pipe, Reference(y_0, FACTOR, window=Window(0, 0.7)), seed=SEED
        ),
    ).images[0]
    return made


def mosaic(picture: Image.Image, side: int) -> Image.Image:
    """A picture in blocks: how low frequencies are drawn where nobody reads a caption."""
    small = picture.convert("RGB").resize((BLOCKS, BLOCKS), Image.Resampling.BOX)
    return small.resize((side, side), Image.Resampling.NEAREST)


def icon(sample: Image.Image) -> Image.Image:
    """The reference in cells, and beside it the sample."""
    side = ICON[0]
    left = mosaic(read_image(APPLE), side)
    right = sample.convert("RGB").resize(ICON, Image.Resampling.LANCZOS)
    right_of = Image.new("L", ICON)
    half, lean = side / 2, SLANT * side
    ImageDraw.Draw(right_of).polygon(
        [(half + lean, 0), (side, 0), (side, side), (half - lean, side)], fill=255
    )
    joined = Image.composite(right, left, right_of)
    line = [(half + lean, 0), (half - lean, side)]
    ImageDraw.Draw(joined).line(line, fill=PAPER, width=8)
    return joined


def banner(made: list[Image.Image]) -> Image.Image:
    """The name, and a row: the reference, its low frequencies, the samples."""
    sheet = Image.new("RGB", BANNER, PAPER)
    draw, side, gap, top = ImageDraw.Draw(sheet), 220, 20, 216
    draw.text((40, 34), "ILVR", INK, ImageFont.load_default(84))
    said = "Any diffusion model follows the layout and colours of your picture. No training."
    draw.text((40, 138), said, INK, ImageFont.load_default(31))
    reference = read_image(APPLE)
    low = LowPass(FACTOR * CELL)(to_tensor(reference.resize((128, 128), Image.Resampling.LANCZOS)))
    row = [reference, *to_images(low), *made]
    labels = ["reference", "what is followed", *(f"“{prompt}”" for prompt in PROMPTS)]
    for place, (picture, label) in enumerate(zip(row, labels, strict=True)):
        x = 40 + place * (side + gap)
        shown = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(shown, (x, top))
        draw.rectangle((x, top, x + side - 1, top + side - 1), outline=(221, 221, 221))
        font = ImageFont.load_default(24)
        draw.text((x + side / 2, top + side + 26), label, INK, font, anchor="mm")
    return sheet


def main(folder: Path) -> None:
    """Draw both."""
    made = samples()
    icon(made[0]).save(folder / "icon.png", optimize=True)
    banner(made).save(folder / "banner.jpg", quality=88, optimize=True, progressive=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
