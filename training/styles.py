"""The training pictures in four designs, rendered, named and laid into one file that travels.

    python -m training.styles [--cache DIR] [--output FILE]

A machine with a GPU often reaches no registry: the file (about 20 MB) is all that training needs.
Pictures are stored as WebP of quality 95, which is not to be seen at half their size.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor

from ilvr_latent.embedded import GROUPS
from training import captions, data
from training.photographs import photographs
from training.references import EMOJI, NOTO, TWEMOJI, render

FILE = "pictures.safetensors"
QUALITY = 95
CAPTIONS = 16  # ways to say each picture
SUBJECT = 120  # of 128 pixels: what a flat picture fills, as the 3D ones do


@dataclass(frozen=True)
class FlatStyle:
    """A design that comes as SVG.

    Attributes:
        name: the word for it in captions.
        package: npm package and version, in Iconify's format.
        left_out: icons that are references of the package's own evaluation.
    """

    name: str
    package: tuple[str, str]
    left_out: frozenset[str] = frozenset()


def _references(package: tuple[str, str]) -> frozenset[str]:
    return frozenset(icon for of, icon in EMOJI.values() if of == package)


FLAT_STYLES = (
    FlatStyle("flat", data.ORIGINALS),
    FlatStyle("noto", NOTO, _references(NOTO)),
    FlatStyle("twemoji", TWEMOJI, _references(TWEMOJI)),
)
STYLES = (captions.SOLID, *(style.name for style in FLAT_STYLES), "photograph")
PHOTOGRAPH = len(STYLES) - 1


def framed(picture: Image.Image) -> Tensor:
    """In the middle of a white frame, uint8 (3, 128, 128)."""
    canvas = Image.new("RGB", (data.SIDE, data.SIDE), "white")
    canvas.paste(picture.resize((SUBJECT, SUBJECT)), ((data.SIDE - SUBJECT) // 2,) * 2)
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1)


def flat_pictures(
    style: FlatStyle, wanted: dict[str, int], folder: Path
) -> list[tuple[int, Tensor]]:
    """The pictures of a design that show what a solid one shows.

    Args:
        style: the design.
        wanted: by code points, the number of the solid picture of the same emoji.
        folder: where npm packages are kept.

    Returns:
        The number of the solid picture, and the flat one.
    """
    package = data.fetch_package(*style.package, folder)
    icons = json.loads((package / "icons.json").read_text(encoding="utf-8"))
    chars = json.loads((package / "chars.json").read_text(encoding="utf-8"))
    named = {data.canonical(code_points): icon for code_points, icon in chars.items()}
    return [
        (index, framed(render(icons, named[code_points], 2 * SUBJECT)))
        for code_points, index in wanted.items()
        if named.get(code_points) in icons["icons"] and named[code_points] not in style.left_out
    ]


def encoded(images: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Pictures as the bytes of WebP files, one after the other, and where each begins."""
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(
            file, "webp", quality=QUALITY, method=6
        )
        files.append(file.getvalue())
    ends = torch.tensor([len(file) for file in files]).cumsum(0)
    pixels = torch.frombuffer(bytearray(b"".join(files)), dtype=torch.uint8)
    return pixels, torch.cat([torch.zeros(1, dtype=torch.long), ends])


def prepare(cache: Path) -> dict[str, Tensor]:
    """Everything that training needs, as :func:`load` gives it, pictures encoded."""
    npm = cache / "npm"
    chosen, solid = data.select(npm), data.load(cache)
    plain = {
        data.canonical(picture.path.stem): index
        for index, picture in enumerate(chosen)
        if not picture.skin_tone
    }
    images, same_as, style = list(solid["images"]), list(range(len(chosen))), [0] * len(chosen)
    for number, design in enumerate(FLAT_STYLES, start=1):
        for index, image in flat_pictures(design, plain, npm):
            images.append(image)
            same_as.append(index)
            style.append(number)
    known = captions.captions(chosen, npm)
    tokenizer = captions.tokenizer_of(known, STYLES[:PHOTOGRAPH], cache / "tokenizer")
    generator = Generator().manual_seed(0)
    tokens = [
        captions.tokenized(tokenizer, known[index], STYLES[number], CAPTIONS, generator)
        for index, number in zip(same_as, style, strict=True)
    ]
    photos = photographs()
    images += list(photos)
    empty = captions.tokenized(tokenizer, (), captions.SOLID, CAPTIONS, generator)
    tokens += [empty] * len(photos)
    pixels, begins = encoded(images)
    shown = torch.tensor(same_as)
    none = torch.zeros(len(photos))
    return {
        "pixels": pixels,
        "begins": begins,
        "style": torch.tensor(style + [PHOTOGRAPH] * len(photos)),
        "weights": torch.cat([solid["weights"][shown], none]),
        "held_out": torch.cat([solid["held_out"][shown], none.bool()]),
        "group": torch.cat([groups(chosen)[shown], none.long() - 1]),
        "tokens": torch.stack(tokens).short(),
    }


def groups(pictures: list[data.Picture]) -> Tensor:
    """Each picture's position in :data:`ilvr_latent.embedded.GROUPS`, -1 where unknown."""
    return torch.tensor([GROUPS.index(p.group) if p.group in GROUPS else -1 for p in pictures])


def load(cache: Path = data.CACHE) -> dict[str, Tensor]:
    """The set, made on first use.

    Returns:
        ``images`` uint8 (K, 3, 128, 128), ``style`` (K,) in :data:`STYLES`, ``weights`` (K,) how
        often a picture is drawn within its design, ``held_out`` bool (K,), ``group`` (K,),
        ``tokens`` int16 (K, 16, 16): as many captions of each, the last of which says nothing.
    """
    path = cache / FILE
    if not path.exists():
        write(cache, path)
    stored = load_file(path)
    pixels, begins = stored.pop("pixels").numpy(), stored.pop("begins").tolist()
    images = []
    for start, end in itertools.pairwise(begins):
        with Image.open(io.BytesIO(pixels[start:end].tobytes())) as picture:
            images.append(torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1))
    return {"images": torch.stack(images), **stored}


def write(cache: Path, path: Path) -> None:
    """Make the file, whole or not at all."""
    partial = path.with_suffix(".partial")
    save_file(prepare(cache), partial)
    partial.replace(path)


def main() -> None:
    """Make the file and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--output", type=Path, help="by default in the cache")
    options = parser.parse_args()
    path = options.output or options.cache / FILE
    write(options.cache, path)
    style = load_file(path)["style"]
    counted = ", ".join(f"{int((style == k).sum())} {name}" for k, name in enumerate(STYLES))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB: {counted}")


if __name__ == "__main__":
    main()
