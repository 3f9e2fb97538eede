"""Pictures on disk to tensors in [-1, 1] and back."""

from __future__ import annotations

import glob
import io
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, PngImagePlugin
from torch import Tensor

from ..errors import InputError
from .files import written_whole

Fit = Literal["crop", "pad", "stretch"]
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
# What is read: of the others that Pillow knows, some start programs (EPS) or decode slowly.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# 64 megapixels, which are 256 MB in Pillow's memory and, with a copy or two, less than 1 GB on the
# way; a side beyond any camera's makes the matrices of phi_N large.
MOST_PIXELS, LONGEST_SIDE = 64_000_000, 32_768
# Conversions with large intermediate values go over a picture by so many pixels at a time.
STRIP_PIXELS = 1_000_000
# What EXIF calls its orientation, and what undoes it.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Above white in a float picture; more is not a float picture from 0 to 1.
BRIGHTEST_HIGHLIGHT = 16.0
# Pillow's modes with more than eight bits a channel; converting them would clip, not scale.
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I", "F")


def read_image(path: Path | str) -> Image.Image:
    """Open any picture as upright 8-bit RGB.

    EXIF rotation is applied, transparency is laid on white, 16-bit grey is scaled down, palettes,
    grey and CMYK are converted; of an animation, the first frame is taken.

    Raises:
        InputError: there is no such file, or it is not a picture that can be read whole.
    """
    try:
        return _decoded(Path(path), path)
    except FileNotFoundError:
        raise InputError(f"There is no file {str(path)!r}; check the path.") from None


def decode_image(data: bytes, name: str) -> Image.Image:
    """The bytes of such a file, as :func:`read_image` reads it; ``name`` is for its refusals."""
    return _decoded(io.BytesIO(data), name)


def _decoded(file: Path | io.BytesIO, path: Path | str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures, which are fine here, and of metadata that is broken.
            warnings.simplefilter("ignore")
            if isinstance(file, Path):
                _check_is_file(path)
            with Image.open(file, formats=FORMATS) as opened:
                _check_size(opened, path)
                return as_rgb(opened)
    except (FileNotFoundError, InputError):
        raise
    except MemoryError:
        raise InputError(
            f"There is not enough memory to read {str(path)!r}; use a smaller picture."
        ) from None
    # A damaged file can fail in any way at all, and none of them is a defect of ours.
    except (Exception, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = reason.replace(repr(file), "its bytes")
        raise InputError(
            f"{str(path)!r} cannot be read as a picture ({reason}); save it again as PNG or JPEG."
        ) from None


def as_rgb(image: Image.Image) -> Image.Image:
    """Any opened picture as upright 8-bit RGB; see :func:`read_image`."""
    turn = _turn(image)
    if image.mode in DEEP_MODES:
        rgb = _from_deep(image)
    elif image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgb = _on_white(image)
    else:
        rgb = image.convert("RGB")
    return rgb if turn is None else rgb.transpose(turn)


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture in pieces of its whole width, each with the row that it begins at."""
    rows = max(1, STRIP_PIXELS // max(image.width, 1))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_white(image: Image.Image) -> Image.Image:
    rgb = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        rgba = strip.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        rgb.paste(Image.alpha_composite(white, rgba).convert("RGB"), (0, top))
    return rgb


def _check_is_file(path: Path | str) -> None:
    """A pipe or a device would be waited for.

    Raises:
        InputError: it is there, and no regular file.
    """
    place = Path(path)
    if place.exists() and not place.is_file():
        raise InputError(f"{str(path)!r} is not a regular file; give a picture.")


def _check_size(opened: Image.Image, path: Path | str) -> None:
    """Before any pixel is decoded.

    Raises:
        InputError: there are too many.
    """
    width, height = opened.size
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        raise InputError(
            f"{str(path)!r} is {width}x{height} pixels; use a picture of at most "
            f"{MOST_PIXELS // 1_000_000} megapixels and {LONGEST_SIDE} pixels a side."
        )


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What makes it upright, as its EXIF says; EXIF that cannot be read says nothing."""
    try:
        return UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    # Metadata never decides whether pixels can be read, and it can be broken in any way.
    except Exception:
        return None


def _from_deep(image: Image.Image) -> Image.Image:
    """16-bit grey, 32-bit integers and floats, each scaled by what its kind or its values fill."""
    rgb, top = Image.new("RGB", image.size), _white_of(image)
    for row, strip in _strips(image):
        grey = np.nan_to_num(np.asarray(strip).astype(np.float64) / top).clip(0, 1) * 255
        rgb.paste(Image.fromarray(grey.round().astype(np.uint8)).convert("RGB"), (0, row))
    return rgb


def _white_of(image: Image.Image) -> float:
    """The value that is white, which files do not say: the range that the values need.

    Floats are 0 to 1 with highlights above it, or fill 8 or 16 bits as integers do.
    """
    if image.mode.startswith("I;16"):
        return 65535.0
    top = 0.0
    for _, strip in _strips(image):
        values = np.asarray(strip)
        top = max(top, float(values.max(initial=0, where=np.isfinite(values))))
    if image.mode == "F" and top <= BRIGHTEST_HIGHLIGHT:
        return 1.0
    return next((white for white in (255.0, 65535.0) if top <= white), top)


def is_picture(path: Path) -> bool:
    """By its name; what systems put beside pictures under such names (``._a.png``) is none."""
    hidden = any(part.startswith(".") and part not in (".", "..") for part in path.parts[-2:])
    left_over = hidden or "__MACOSX" in path.parts
    return path.suffix.lower() in SUFFIXES and not left_over and path.is_file()


def find_images(patterns: Sequence[str]) -> list[Path]:
    """The pictures that files, folders (searched through) and glob patterns name, in order.

    Raises:
        InputError: a pattern names nothing, or a folder holds no picture.
    """
    found: list[Path] = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            here = sorted(p for p in path.rglob("*") if is_picture(p))
            if not here:
                raise InputError(
                    f"The folder {pattern!r} holds no picture; put files ending in "
                    f"{', '.join(sorted(SUFFIXES))} into it."
                )
        elif path.exists():
            here = [path]
        else:
            # Path.glob refuses absolute patterns.
            matches = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207
            here = [p for p in matches if is_picture(p)]
            if not here:
                raise InputError(
                    f"There is no picture at {pattern!r}; give a file, a folder or a glob such as "
                    "'refs/*.png'."
                )
        found += [p for p in here if p not in found]
    return found


def find_one_image(pattern: str) -> tuple[Path, Image.Image]:
    """The one picture that a pattern names, and what is in it.

    Raises:
        InputError: it names none or several, or the file is not a picture.
    """
    found = find_images([pattern])
    if len(found) > 1:
        raise InputError(f"{pattern!r} names {len(found)} pictures; give one of them.")
    return found[0], read_image(found[0])


def fit_to(image: Image.Image, size: tuple[int, int], fit: Fit = "crop") -> Image.Image:
    """A picture at another size and aspect.

    Args:
        image: RGB.
        size: width and height in pixels.
        fit: ``crop`` fills the frame and cuts what sticks out, ``pad`` shows everything on white,
            ``stretch`` ignores the aspect.

    Raises:
        InputError: unknown ``fit``.
    """
    resample = Image.Resampling.BICUBIC
    if fit == "crop":
        return ImageOps.fit(image, size, resample)
    if fit == "pad":
        return _padded(image, size)
    if fit == "stretch":
        return image.resize(size, resample)
    raise InputError(f"fit is {fit!r}; use one of {list(get_args(Fit))}.")


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    # ImageOps.pad of older Pillows fails where a side would round down to nothing.
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    frame = Image.new("RGB", size, "white")
    corner = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    frame.paste(image.resize(inner, Image.Resampling.BICUBIC), corner)
    return frame


def to_tensor(image: Image.Image) -> Tensor:
    """A picture, see :func:`as_rgb`, to (1, 3, H, W) in [-1, 1], fp32."""
    pixels = torch.from_numpy(np.array(as_rgb(image)))
    return pixels.permute(2, 0, 1)[None].float().div_(127.5).sub_(1)


def to_images(x: Tensor) -> list[Image.Image]:
    """(B, 3 or 1, H, W) in [-1, 1] to RGB pictures; values outside are clamped.

    Raises:
        InputError: there are NaN or infinite values.
    """
    if not bool(torch.isfinite(x).all()):
        raise InputError(
            "The sampled picture holds NaN or infinite values; use --dtype float32 (in Python, "
            "dtype=torch.float32), or another model."
        )
    if x.shape[1] == 1:
        x = x.expand(-1, 3, -1, -1)
    # Half is added and cut off, as torchvision's save_image and so the authors' code do.
    pixels = ((x.float().clamp(-1, 1) + 1) * 127.5 + 0.5).clamp(0, 255).byte()
    return [Image.fromarray(array) for array in pixels.permute(0, 2, 3, 1).cpu().numpy()]


def save_png(image: Image.Image, path: Path, settings: dict[str, object] | None = None) -> None:
    """Write a PNG whole or not at all, with its settings as JSON in the text chunk ``ilvr``."""
    with written_whole(path) as partial:
        image.save(partial, format="PNG", pnginfo=png_info(settings))


def png_info(settings: dict[str, object] | None) -> PngImagePlugin.PngInfo:
    """What a PNG says beside its pixels: its settings."""
    info = PngImagePlugin.PngInfo()
    if settings is not None:
        info.add_text("ilvr", json.dumps(settings))
    return info
