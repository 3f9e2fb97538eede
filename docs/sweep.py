"""An animation of the dial: ``python docs/sweep.py FILE.webp``, as ``make gallery`` calls it.

References beside what the embedded text-to-image model makes of them under one prompt, with one
seed, while the similarity goes from 0 to 100 and back.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ilvr_latent.cli.main import main as ilvr
from ilvr_latent.pictures.images import fit_to, read_image

REFERENCES = Path(__file__).parent.parent / "ilvr_latent" / "assets" / "references"
SHOWN = ("noto_apple", "noto_pumpkin", "twemoji_sunflower")
PROMPT, SEED = "cat face", 6  # that of the figure of `ilvr demo`
SIMILARITIES = range(0, 101, 5)
SIDE, GAP, BAR = 128, 8, 28
MILLISECONDS, AT_THE_ENDS = 160, 900


def sampled(similarity: int, folder: Path) -> list[Image.Image]:
    """One picture of each reference."""
    paths = [str(REFERENCES / f"{name}.png") for name in SHOWN]
    ilvr(
        [
            *("sample", "--pipeline", "embedded", "--prompt", PROMPT, "--guidance-scale", "4"),
            *("--steps", "20", "--reference", *paths, "--similarity", str(similarity)),
            *("--seed", str(SEED), "--output", str(folder)),
        ]
    )
    return [read_image(folder / f"{name}_similarity{similarity}_seed{SEED}.png") for name in SHOWN]


def frame(similarity: int, pictures: list[Image.Image]) -> Image.Image:
    """References above, pictures below, and the dial."""
    width = len(SHOWN) * (SIDE + GAP) + GAP
    image = Image.new("RGB", (width, 2 * (SIDE + GAP) + GAP + BAR), "white")
    for k, (name, picture) in enumerate(zip(SHOWN, pictures, strict=True)):
        left = GAP + k * (SIDE + GAP)
        image.paste(fit_to(read_image(REFERENCES / f"{name}.png"), (SIDE, SIDE)), (left, GAP))
        image.paste(picture, (left, 2 * GAP + SIDE))
    draw, top = ImageDraw.Draw(image), image.height - BAR + 8
    right = GAP + (width - 2 * GAP - 40) * similarity / 100
    draw.rectangle((GAP, top + 4, width - GAP - 40, top + 8), fill="#dddddd")
    draw.rectangle((GAP, top + 4, right, top + 8), fill="#d9480f")
    number = ImageFont.load_default(14)
    draw.text((width - GAP - 30, top - 2), f"{similarity}", fill="#333333", font=number)
    return image


def main(path: Path) -> None:
    """Sample all, and write the animation."""
    with tempfile.TemporaryDirectory() as folder:
        up = [frame(s, sampled(s, Path(folder) / str(s))) for s in SIMILARITIES]
    frames = [*up, *up[-2:0:-1]]
    durations = [MILLISECONDS] * len(frames)
    durations[0] = durations[len(up) - 1] = AT_THE_ENDS
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        quality=60,
        method=6,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
