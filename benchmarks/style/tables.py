"""What was measured, as tables, curves and contact sheets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

from PIL import Image
from torch import Tensor

from ilvr_latent.pictures.images import to_images
from ilvr_latent.pictures.plot import BLUE, GREEN, GREY, ORANGE, PURPLE, Line, Scale, line_plot
from ilvr_latent.pictures.sheet import Column, contact_sheet

RED = (190, 30, 45)
LIGHT_BLUE, NAVY, BROWN = (90, 170, 230), (20, 30, 110), (140, 100, 50)
COLOURS = (GREY, PURPLE, ORANGE, GREEN, BLUE, LIGHT_BLUE, NAVY, RED, BROWN)
OURS = ("ILVR and style", "ILVR, weight of style", "ILVR held longer, weight of style")
OTHERS = ("ILVR", "ILVR, A recoloured", "SDEdit", "SDEdit, A recoloured")
LAYOUT, STYLE = "structure distance to A", "style distance to B"


class Record(TypedDict):
    """One way at one value of its knob: means over all pairs and seeds.

    ``seconds``, of one picture, are ``None`` where no network drew anything.
    """

    table: str
    way: str
    knob: str
    structure: float
    style: float
    patches: float
    seconds: float | None


def tables(found: Sequence[Record]) -> str:
    """All of them, in Markdown."""
    made = [line for name in _names(found) for make in MAKERS for line in make(name, found)]
    return "\n".join(made) + "\n"


def _names(found: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record["table"] for record in found))


def _table(table: str, found: Sequence[Record]) -> Iterator[str]:
    yield from (f"## {table}", "")
    yield "| | knob | structure to A | style to B | patches to B | seconds |"
    yield "|---" * 6 + "|"
    for one in (record for record in found if record["table"] == table):
        seconds = "" if one["seconds"] is None else f"{one['seconds']:.2f}"
        numbers = f"{one['structure']:.3f} | {one['style']:.3f} | {one['patches']:.3f}"
        yield f"| {one['way']} | {one['knob']} | {numbers} | {seconds} |"
    yield ""


def _compared(table: str, found: Sequence[Record]) -> Iterator[str]:
    """Beside each point of another way, the style distance of ours at the same structure."""
    of_table = [one for one in found if one["table"] == table and one["knob"]]
    ours = [(one["structure"], one["style"]) for one in of_table if one["way"] in OURS]
    if not ours:
        return
    yield "| at the same structure distance | knob | style to B | ours |"
    yield "|---" * 4 + "|"
    for one in (one for one in of_table if one["way"] in OTHERS):
        style = lowest(ours, one["structure"])
        said = "none so near to A" if style is None else f"{style:.3f}"
        yield f"| {one['way']} | {one['knob']} | {one['style']:.3f} | {said} |"
    yield ""


def lowest(points: Sequence[tuple[float, float]], x: float) -> float | None:
    """The least y of points at x or left of it, or on the straight line between two of them.

    Returns:
        ``None`` where all points are to the right.
    """
    left, right = [p for p in points if p[0] <= x], [p for p in points if p[0] > x]
    between = [b + (x - a) / (c - a) * (d - b) for a, b in left for c, d in right]
    return min([y for _, y in left] + between) if left else None


MAKERS = (_table, _compared)


def curves(found: Sequence[Record]) -> list[Image.Image]:
    """Of each table that has a knob."""
    drawn = []
    for table in _names(found):
        of_table = [one for one in found if one["table"] == table and one["knob"]]
        if of_table:
            lines = [
                _line(way, [one for one in of_table if one["way"] == way], colour)
                for way, colour in zip(
                    dict.fromkeys(one["way"] for one in of_table), COLOURS, strict=False
                )
            ]
            scales = Scale(LAYOUT), Scale(STYLE)
            drawn.append(line_plot(lines, *scales, title=table, size=(1240, 460)))
    return drawn


def _line(way: str, records: Sequence[Record], colour: tuple[int, int, int]) -> Line:
    points = sorted((one["structure"], one["style"]) for one in records)
    return Line(way, points, colour, frozenset(x for x, _ in points))


def sheet(shown: Mapping[str, Tensor]) -> Image.Image:
    """A row for each pair, a column for each way."""
    columns = [Column(label, gap=20 if k == 2 else 6) for k, label in enumerate(shown)]
    rows = [list(row) for row in zip(*map(to_images, shown.values()), strict=True)]
    return contact_sheet(rows, columns, cell=112)
