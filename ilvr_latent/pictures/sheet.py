"""Contact sheets: a labelled grid of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from .axis import Axis

INK, FAINT = (32, 32, 32), (112, 112, 112)
GROUP_GAP = 20


@dataclass(frozen=True)
class Column:
    """One column of a sheet.

    Attributes:
        label: what stands above it; may have two lines.
        gap: space before it, in pixels: wider gaps make groups.
        group: what stands above this and the following columns with the same word.
    """

    label: str
    gap: int = 6
    group: str = ""


def contact_sheet(
    rows: Sequence[Sequence[Image.Image | None]],
    columns: Sequence[Column],
    *,
    row_labels: Sequence[str] | None = None,
    title: str = "",
    cell: int = 128,
) -> Image.Image:
    """A labelled grid of pictures.

    Args:
        rows: pictures row by row, ``None`` for an empty place.
        columns: one for each place of a row.
        row_labels: what stands to the left of each row.
        title: what stands on top.
        cell: height and greatest width of a place in pixels; small pictures are enlarged
            pixel by pixel, so that nobody takes interpolation for detail.

    Returns:
        An RGB picture.
    """
    small, large = ImageFont.load_default(13), ImageFont.load_default(18)
    left = 12
    if row_labels:
        left += 10 + max(int(small.getlength(label)) for label in row_labels)
    head = 12 + (34 if title else 0) + (22 if any(c.group for c in columns) else 0)
    head += 18 * max(column.label.count("\n") + 1 for column in columns)
    positions, x = [], left
    for column in columns:
        x += column.gap
        positions.append(x)
        x += cell
    right = x + 12
    if title:
        right = max(right, 24 + int(large.getlength(title)))
    sheet = Image.new("RGB", (right, head + len(rows) * (cell + 8) + 8), "white")
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((12, 10), title, INK, large)
    _draw_column_labels(draw, columns, positions, head, cell, small)
    for r, pictures in enumerate(rows):
        top = head + 4 + r * (cell + 8)
        if row_labels:
            draw.text((12, top + cell / 2), row_labels[r], INK, small, anchor="lm")
        for position, picture in zip(positions, pictures, strict=True):
            if picture is not None:
                placed = _enlarged(picture, cell)
                offset = (cell - placed.width) // 2, (cell - placed.height) // 2
                sheet.paste(placed, (position + offset[0], top + offset[1]))
                draw.rectangle(
                    (position - 1, top - 1, position + cell, top + cell), outline=(224, 224, 224)
                )
    return sheet


def grid_sheet(
    rows: Axis,
    columns: Axis,
    pictures: Sequence[Sequence[Image.Image]],
    leading: Mapping[str, Sequence[Image.Image | None]],
    *,
    cell: int = 128,
) -> Image.Image:
    """The pictures of two axes, with labels.

    Args:
        rows: what varies from row to row.
        columns: what varies from column to column.
        pictures: row by row.
        leading: label and pictures of the columns that stand before the grid.
        cell: see :func:`contact_sheet`.
    """
    shown = [
        [*(first[row] for first in leading.values()), *line] for row, line in enumerate(pictures)
    ]
    heads = [Column(label) for label in leading]
    heads += [
        Column(label, GROUP_GAP if k == 0 else 6, columns.name.replace("_", " "))
        for k, label in enumerate(columns.column_labels)
    ]
    return contact_sheet(shown, heads, row_labels=rows.row_labels, cell=cell)


def _draw_column_labels(
    draw: ImageDraw.ImageDraw,
    columns: Sequence[Column],
    positions: Sequence[int],
    head: int,
    cell: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    for column, x in zip(columns, positions, strict=True):
        lines = column.label.split("\n")
        for k, line in enumerate(lines):
            y = head - 18 * (len(lines) - k)
            draw.text((x + cell / 2, y), line, FAINT, font, anchor="ma")
    lines_high = 18 * max(column.label.count("\n") + 1 for column in columns)
    start = 0
    while start < len(columns):
        end = start
        while end + 1 < len(columns) and columns[end + 1].group == columns[start].group:
            end += 1
        if columns[start].group:
            x_0, x_1 = positions[start], positions[end] + cell
            y = head - lines_high - 5
            draw.text(((x_0 + x_1) / 2, y - 17), columns[start].group, INK, font, anchor="ma")
            draw.line((x_0, y, x_1, y), fill=(160, 160, 160))
        start = end + 1


def _enlarged(picture: Image.Image, cell: int) -> Image.Image:
    longest = max(picture.size)
    if longest <= cell:
        factor = max(cell // longest, 1)
        return picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
        )
    scale = cell / longest
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)
