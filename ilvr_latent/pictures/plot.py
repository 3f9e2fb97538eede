"""Line plots, drawn with Pillow: axes, ticks, labels, a legend, and nothing else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]
BLUE, ORANGE, GREY = (0, 100, 180), (214, 96, 20), (110, 110, 110)
GREEN, PURPLE = (20, 130, 70), (130, 60, 150)
INK, FAINT, BAND = (32, 32, 32), (224, 224, 224), (226, 239, 250)
# Drawn so many times larger, then shrunk: Pillow's lines have jagged edges.
OVERSIZE = 3
LEFT, RIGHT, TOP, BOTTOM = 64, 18, 60, 48


@dataclass(frozen=True)
class Line:
    """One line of a plot; points that are not finite, or not positive on a log scale, are left out.

    Attributes:
        label: in the legend.
        points: (x, y), x ascending.
        colour: of the line.
        dots: the x at which the line has a dot.
    """

    label: str
    points: Sequence[Point]
    colour: Colour
    dots: frozenset[float] = frozenset()


@dataclass(frozen=True)
class Scale:
    """One axis of a plot.

    Attributes:
        label: what it says.
        log: powers of ten at equal distances.
        marks: the values that are written at it; by default round ones.
    """

    label: str
    log: bool = False
    marks: tuple[float, ...] = ()

    def place(self, value: float) -> float:
        """Where a value is, in units of length that are yet to be fixed."""
        return math.log10(value) if self.log else value

    def shows(self, value: float) -> bool:
        """Whether a value has a place on it."""
        return math.isfinite(value) and (value > 0 or not self.log)


@dataclass(frozen=True)
class Span:
    """Values of x that are marked: a band, or an upright line where both ends are the same."""

    label: str
    ends: tuple[tuple[float, float], ...]


def ticks(low: float, high: float, log: bool) -> list[float]:
    """Round numbers from ``low`` to ``high``: about five, or the powers of ten and their parts."""
    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        parts = (1,) if math.log10(high / low) >= 2 else (1, 2, 5)
        found = [part * 10.0**decade for decade in decades for part in parts]
        return [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    span = (high - low) or 1.0
    rough = 10.0 ** math.floor(math.log10(span / 5))
    step = next(rough * part for part in (1, 2, 5, 10) if span / (rough * part) <= 6)
    return [
        k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def line_plot(
    lines: Sequence[Line],
    x: Scale,
    y: Scale,
    *,
    title: str = "",
    span: Span | None = None,
    size: tuple[int, int] = (480, 340),
) -> Image.Image:
    """A plot as a picture.

    Args:
        lines: drawn one over the other.
        x: the axis below.
        y: the axis at the left; a linear one begins at 0 unless values are below.
        title: what stands on top.
        span: what of x is marked.
        size: width and height in pixels.

    Returns:
        An RGB picture.
    """
    return _Plot(lines, x, y, span, size).drawn(title)


class _Plot:
    """The geometry of one plot, in pixels of the oversized picture."""

    def __init__(
        self,
        lines: Sequence[Line],
        x: Scale,
        y: Scale,
        span: Span | None,
        size: tuple[int, int],
    ) -> None:
        self._x, self._y, self._span, self._size = x, y, span, size
        self._lines = [
            (line, [p for p in line.points if x.shows(p[0]) and y.shows(p[1])]) for line in lines
        ]
        points = [point for _, shown in self._lines for point in shown] or [(0.1, 0.1), (1, 1)]
        self._xs = _limits([point[0] for point in points], x, margin=0.0)
        self._ys = _limits([point[1] for point in points], y, margin=0.06)
        width, height = size
        self._frame = LEFT, TOP, width - RIGHT, height - BOTTOM
        self._image = Image.new("RGB", (width * OVERSIZE, height * OVERSIZE), "white")
        self._draw = ImageDraw.Draw(self._image)
        self._small, self._large = (ImageFont.load_default(n * OVERSIZE) for n in (11, 14))

    def drawn(self, title: str) -> Image.Image:
        self._draw_span()
        self._draw_axes()
        for line, points in self._lines:
            self._draw_line(line, points)
        self._text((LEFT, 8), title, large=True)
        self._draw_legend()
        return self._image.resize(self._size, Image.Resampling.LANCZOS)

    def _at(self, x: float, y: float) -> Point:
        """Of a value in the plot, in pixels of the finished picture."""
        left, top, right, bottom = self._frame
        across = _share(x, self._xs, self._x)
        up = _share(y, self._ys, self._y)
        return left + across * (right - left), bottom - up * (bottom - top)

    def _line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        scaled = [(a * OVERSIZE, b * OVERSIZE) for a, b in points]
        if len(scaled) < 2:
            return
        self._draw.line(scaled, colour, round(width * OVERSIZE), joint="curve")

    def _text(
        self, at: Point, text: str, *, anchor: str = "la", colour: Colour = INK, large: bool = False
    ) -> None:
        place = at[0] * OVERSIZE, at[1] * OVERSIZE
        self._draw.text(place, text, colour, self._large if large else self._small, anchor=anchor)

    def _draw_span(self) -> None:
        _, top, _, bottom = self._frame
        for low, high in self._span.ends if self._span else ():
            if high < self._xs[0] or low > self._xs[1]:
                continue
            ends = (min(max(end, self._xs[0]), self._xs[1]) for end in (low, high))
            first, last = (self._at(end, self._ys[0])[0] for end in ends)
            if low == high:
                self._line([(first, top), (first, bottom)], GREY, 1)
            else:
                corners = (first, top, last, bottom)
                self._draw.rectangle([corner * OVERSIZE for corner in corners], fill=BAND)

    def _draw_axes(self) -> None:
        left, top, right, bottom = self._frame
        for value in self._y.marks or ticks(*self._ys, self._y.log):
            height = self._at(self._xs[0], value)[1]
            self._line([(left, height), (right, height)], FAINT, 1)
            self._text((left - 6, height), f"{value:g}", anchor="rm")
        for value in self._x.marks or ticks(*self._xs, self._x.log):
            across = self._at(value, self._ys[0])[0]
            self._line([(across, bottom), (across, bottom + 4)], INK, 1)
            self._text((across, bottom + 7), f"{value:g}", anchor="ma")
        self._line([(left, top), (left, bottom), (right, bottom)], INK, 1)
        self._text(((left + right) / 2, bottom + 28), self._x.label, anchor="ma")
        self._draw_upright(self._y.label)

    def _draw_upright(self, text: str) -> None:
        """The label of the y axis, turned to the left."""
        length = round(self._small.getlength(text)) + 2 * OVERSIZE
        label = Image.new("RGB", (length, 16 * OVERSIZE), "white")
        ImageDraw.Draw(label).text((0, 0), text, INK, self._small)
        turned = label.transpose(Image.Transpose.ROTATE_90)
        _, top, _, bottom = self._frame
        middle = round((top + bottom) / 2 * OVERSIZE - length / 2)
        self._image.paste(turned, (4 * OVERSIZE, max(middle, 0)))

    def _draw_line(self, line: Line, points: Sequence[Point]) -> None:
        places = [self._at(*point) for point in points]
        self._line(places, line.colour, 1.6)
        for (value, _), (a, b) in zip(points, places, strict=True):
            if value in line.dots:
                radius = 2.6
                box = (a - radius, b - radius, a + radius, b + radius)
                self._draw.ellipse([side * OVERSIZE for side in box], fill=line.colour)

    def _draw_legend(self) -> None:
        across, middle = float(LEFT), 42.0
        for line, _ in self._lines:
            self._line([(across, middle), (across + 18, middle)], line.colour, 2)
            across = self._legend_text(across + 23, middle, line.label)
        if self._span is not None and self._span.ends:
            is_line = all(low == high for low, high in self._span.ends)
            box = [across, middle - 5, across + 14, middle + 5]
            if is_line:
                self._line([(across + 7, middle - 6), (across + 7, middle + 6)], GREY, 1)
            else:
                self._draw.rectangle([side * OVERSIZE for side in box], fill=BAND, outline=FAINT)
            self._legend_text(across + 19, middle, self._span.label)

    def _legend_text(self, across: float, middle: float, text: str) -> float:
        self._text((across, middle), text, anchor="lm")
        return across + self._small.getlength(text) / OVERSIZE + 16


def _limits(values: Sequence[float], scale: Scale, margin: float) -> tuple[float, float]:
    """The lowest and highest value that an axis shows."""
    low, high = min(values), max(values)
    if scale.log:
        spare = (high / low) ** margin if high > low else 2.0
        return low / spare, high * spare
    low = min(low, 0.0) if margin else low
    return low, high + (margin * (high - low) or (0.0 if high > low else 1.0))


def _share(value: float, limits: tuple[float, float], scale: Scale) -> float:
    low, high = (scale.place(limit) for limit in limits)
    return (scale.place(value) - low) / (high - low)


def runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each unbroken run of ascending numbers."""
    apart = itertools.groupby(enumerate(places), key=lambda pair: pair[1] - pair[0])
    groups = ([place for _, place in group] for _, group in apart)
    return [(group[0], group[-1]) for group in groups]
