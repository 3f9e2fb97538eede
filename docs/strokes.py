"""Paint two eyes and a mouth on a picture: ``python docs/strokes.py IN.png OUT.png``.

The picture for editing with scribbles in docs/gallery.md; ``make gallery`` calls this.
"""

import sys

from PIL import Image, ImageDraw

INK = (40, 24, 20)


def painted(picture: Image.Image) -> Image.Image:
    """The picture with strokes in its middle, as wide as a thick brush makes them."""
    painted = picture.convert("RGB").copy()
    draw, side = ImageDraw.Draw(painted), min(painted.size)
    for left in (0.34, 0.56):
        draw.ellipse((left * side, 0.42 * side, (left + 0.1) * side, 0.56 * side), fill=INK)
    mouth = (0.34 * side, 0.5 * side, 0.66 * side, 0.78 * side)
    draw.arc(mouth, 20, 160, fill=INK, width=max(1, round(0.05 * side)))
    return painted


if __name__ == "__main__":
    painted(Image.open(sys.argv[1])).save(sys.argv[2])
