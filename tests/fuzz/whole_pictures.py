"""Pictures of every kind that is read, whole: what the others are made from."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

SIZE = (24, 16)
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
TIFF_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
Written = tuple[bytes, str]


@functools.cache
def whole_pictures() -> list[Written]:
    """The bytes of each, and how its name ends."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    text = PngImagePlugin.PngInfo()
    text.add_text("ilvr", "{}", zip=True)
    made = [_written(_picture(mode), "PNG", exif=exif, pnginfo=text) for mode in PNG_MODES]
    made += [_written(_picture(mode), "JPEG", exif=exif) for mode in ("L", "RGB", "CMYK")]
    made.append(_written(_picture("RGB"), "JPEG", progressive=True, icc_profile=b"x" * 300))
    made += [_written(_picture(mode), "WEBP", exif=exif) for mode in ("RGB", "RGBA")]
    made.append(_written(_picture("RGB"), "WEBP", lossless=True))
    made += [_written(_picture(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")]
    made += [_written(_picture(mode), "GIF") for mode in ("L", "P")]
    frames = [_picture("RGB"), _picture("RGB").rotate(90), _picture("RGB").rotate(180)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        made.append(_written(frames[0], kind, save_all=True, append_images=frames[1:]))
    made += [_written(_picture(mode), "TIFF", exif=exif) for mode in TIFF_MODES]
    made += [_written(_picture("RGB"), "TIFF", compression=each) for each in COMPRESSIONS]
    made.append(_written(_picture("1"), "TIFF", compression="group4"))
    return made


@functools.cache
def large_pictures() -> list[Written]:
    """Many pixels in few bytes; the first ones are just small enough."""
    made = [
        _written(Image.new("RGB", (8000, 7900), "red"), "PNG", compress_level=1),
        _written(Image.new("RGBA", (8000, 7900), (255, 0, 0, 9)), "PNG", compress_level=1),
        _written(Image.new("I;16", (8000, 7900), 7), "PNG", compress_level=1),
        _written(Image.new("P", (8000, 7900)), "GIF"),
        _written(Image.new("F", (4000, 7900), 0.5), "TIFF", compression="tiff_adobe_deflate"),
        _written(Image.new("LAB", (4000, 7900)), "TIFF", compression="tiff_adobe_deflate"),
        _written(Image.new("CMYK", (8000, 7900)), "JPEG"),
        _written(Image.new("1", (32_768, 1_900)), "TIFF", compression="group4"),
        _written(Image.new("1", (300, 70_000)), "TIFF", compression="group4"),
        _written(Image.new("1", (40_000, 40_000)), "PNG", compress_level=1),
        _written(Image.new("L", (16_000, 16_000)), "JPEG", progressive=True),
    ]
    frame = Image.new("P", (3000, 3000))
    made.append(_written(frame, "GIF", save_all=True, append_images=[frame] * 20))
    return made


def _picture(mode: str) -> Image.Image:
    noise = Image.effect_noise(SIZE, 60)
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return Image.fromarray(np.asarray(noise).astype(kind))
    if mode == "LAB":
        return Image.merge("LAB", (noise, noise, noise))
    if mode in ("LA", "RGBA"):
        rgb = noise.convert("RGB")
        rgb.putalpha(noise.rotate(180))
        return rgb.convert(mode)
    return noise.convert("RGB").convert(mode)


def _written(picture: Image.Image, kind: str, **options: Any) -> Written:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue(), {"JPEG": "jpg"}.get(kind, kind.lower())
