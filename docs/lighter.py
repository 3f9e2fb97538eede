"""Large sheets of pictures as WebP: a quarter of their size, and of what a clone carries.

    python docs/lighter.py docs/images

Every PNG of more than 60 kB becomes a WebP, and is deleted; what is smaller (plots, masks, icons)
stays exact, and so does a PNG that ComfyUI opens as a workflow. The pages name the WebP.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

LARGE = 60_000
QUALITY = 80


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
        with Image.open(path) as image:
            opens_as_workflow = "workflow" in image.info
        if path.stat().st_size > LARGE and not opens_as_workflow:
            print(lighter(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
