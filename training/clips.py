"""Make the clip that ships in `ilvr_latent/assets/clips/`: a reference that sways.

    python -m training.clips [--output DIR]

An animated PNG, which ComfyUI's Load Image reads as a batch of its frames.
"""

import argparse
import math
from pathlib import Path

from PIL import Image

from ilvr_latent.shipped import CLIPS, REFERENCES

SWAYING, NAME = "scribble_smiley", "clip_smiley"
FRAMES, MILLISECONDS = 12, 83
SIDE, SUBJECT, COLOURS, NEARLY = 128, 104, 32, 250
SWAY, TILT = 12, 20  # pixels and degrees, at most
DETAIL = 4  # drawn this much larger, then reduced

Picture = Image.Image


def frame(picture: Picture, time: float) -> Picture:
    """One frame; ``time`` goes from 0 to 1, where the clip begins again."""
    phase = math.sin(2 * math.pi * time)
    side = SUBJECT * DETAIL
    turned = picture.resize((side, side), Image.Resampling.LANCZOS).rotate(
        -TILT * phase, Image.Resampling.BICUBIC, fillcolor="white"
    )
    sheet = Image.new("RGB", (SIDE * DETAIL, SIDE * DETAIL), "white")
    free = (SIDE - SUBJECT) * DETAIL // 2
    sheet.paste(turned, (free + round(SWAY * DETAIL * phase), free))
    return sheet.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def with_white(palette: list[int]) -> list[int]:
    """What is nearly the colour of the paper made white: Pillow takes one for the other."""
    colours = (palette[at : at + 3] for at in range(0, len(palette), 3))
    return [255 if min(colour) >= NEARLY else level for colour in colours for level in colour]


def main() -> None:
    """Write the clip and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=CLIPS, help="folder for the clip")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.open(REFERENCES / f"{SWAYING}.png").convert("RGB")
    frames = [frame(picture, i / FRAMES) for i in range(FRAMES)]
    palette = frames[0].quantize(COLOURS)
    first, *others = (one.quantize(palette=palette, dither=Image.Dither.NONE) for one in frames)
    for one in (first, *others):
        one.putpalette(with_white(palette.getpalette() or []))
    path = folder / f"{NAME}.png"
    first.save(path, save_all=True, append_images=others, duration=MILLISECONDS, loop=0)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
