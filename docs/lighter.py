"""Large sheets of pictures as WebP: a quarter of their size, and of what a clone carries.

    python docs/lighter.py docs/images

Every PNG of more than 60 kB becomes a WebP beside which it is deleted; what is smaller (plots,
masks, icons) stays exact. The pages name the WebP.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

LARGE = 60_000
QUALITY = 90


def lighter(path: Path) -> Path:
    """The WebP in the place of a PNG, with the settings that it was made with."""
    made = path.with_suffix(".webp")
    with Image.open(path) as image:
        exif = image.getexif()
        if settings := image.info.get("ilvr"):
            exif[0x010E] = settings  # ImageDescription
        image.convert("RGB").save(made, quality=QUALITY, method=6, exif=exif)
    path.unlink()
    return made


def main(folder: Path) -> None:
    """Those of a folder."""
    for path in sorted(folder.glob("*.png")):
        if path.stat().st_size > LARGE:
            print(lighter(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
