"""Rows as a figure: every measure against N, and against the end of the conditioning range."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from ..pictures.plot import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, Line, Scale, line_plot
from ..pictures.recording_plot import below, beside
from .measure import HELD_OUT, UNGUIDED_SAMPLES, Row
from .tables import Tables

SIZE = 480, 300
MARGIN, LETTERS, LINE_HEIGHT = 14, 150, 18
# One for each place at which ranges start.
COLOURS = (BLUE, PURPLE, GREEN)


@dataclass(frozen=True)
class Measure:
    """One number of a row.

    Attributes:
        label: of its axis.
        of: the number; ``None`` where it does not apply.
    """

    label: str
    of: Callable[[Row], float | None]


MEASURES = (
    Measure("FID", lambda row: row.fid),
    Measure("KID x 1000", lambda row: 1000 * row.kid),
    Measure("diversity", lambda row: row.diversity),
    Measure("low-pass residual", lambda row: row.residual),
    Measure("distance to reference", lambda row: row.reference_distance),
)


def curves(tables: Tables, networks: str) -> Image.Image:
    """The figure: a row for each measure, N at the left and the range at the right.

    Args:
        tables: every row.
        networks: what measured them; stands on top.
    """
    rows = [beside(_plots(tables, measure)) for measure in MEASURES]
    figure = below(rows)
    return below([_head(networks, figure.width), figure])


def _plots(tables: Tables, measure: Measure) -> list[Image.Image]:
    factors = sorted(tables.by_factor, key=lambda row: row.factor or 0)
    by_factor = _line("whole range", factors, lambda row: row.factor, measure, BLUE)
    x = Scale("N", log=True, marks=tuple(row.factor for row in factors if row.factor))
    plots = [_plot([by_factor], x, measure, tables.yardsticks, "against N")]
    if not tables.by_range:
        return plots
    rows = sorted(tables.by_range, key=lambda row: row.lo or 0)
    starts = sorted({row.hi for row in rows if row.hi is not None}, reverse=True)
    lines = [
        _line(
            f"from t = {hi}",
            [row for row in rows if row.hi == hi],
            lambda row: row.lo,
            measure,
            COLOURS[place % len(COLOURS)],
        )
        for place, hi in enumerate(starts)
    ]
    ends = sorted({row.lo for row in rows if row.lo is not None})
    x = Scale("end of the range, timestep t", marks=tuple(map(float, ends)))
    title = f"against the end of the range, N = {rows[0].factor:g}"
    return [*plots, _plot(lines, x, measure, tables.yardsticks, title)]


def _plot(
    lines: Sequence[Line], x: Scale, measure: Measure, yardsticks: Sequence[Row], title: str
) -> Image.Image:
    """With what would be measured of other pictures, as lines across."""
    ends = min(x.marks), max(x.marks)
    across = []
    for name, colour in ((HELD_OUT, GREY), (UNGUIDED_SAMPLES, ORANGE)):
        for row in yardsticks:
            value = measure.of(row)
            if row.name == name and value is not None:
                across.append(Line(name, [(end, value) for end in ends], colour))
    return line_plot(
        [*across, *lines], x, Scale(measure.label), title=f"{measure.label} {title}", size=SIZE
    )


def _line(
    label: str,
    rows: Sequence[Row],
    place: Callable[[Row], float | None],
    measure: Measure,
    colour: tuple[int, int, int],
) -> Line:
    found = [(place(row), measure.of(row)) for row in rows]
    points = [(float(x), y) for x, y in found if x is not None and y is not None]
    return Line(label, points, colour, frozenset(x for x, _ in points))


def _head(text: str, width: int) -> Image.Image:
    lines = textwrap.wrap(text, LETTERS * width // (2 * SIZE[0]))
    head = Image.new("RGB", (width, MARGIN + LINE_HEIGHT * len(lines)), "white")
    draw, font = ImageDraw.Draw(head), ImageFont.load_default(12)
    for place, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + LINE_HEIGHT * place), line, INK, font)
    return head
