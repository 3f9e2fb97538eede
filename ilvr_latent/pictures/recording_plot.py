"""Recordings as a figure: how far each step was from the reference, and where the power is."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ..guides.recorder import Recording
from ..guides.spectrum import cut
from .plot import BLUE, GREY, ORANGE, Line, Scale, Span, line_plot, runs

WITH, WITHOUT = "with ILVR", "without"


def figure(
    recording: Recording, without: Recording | None = None, *, unit: str = "pixel"
) -> Image.Image:
    """Both plots, side by side.

    Args:
        recording: of a run.
        without: of the same run without the guide, to compare with.
        unit: of a frequency: cycles per what.
    """
    return beside([residual_plot(recording, without), spectrum_plot(recording, without, unit=unit)])


def residual_plot(recording: Recording, without: Recording | None = None) -> Image.Image:
    """The residual of each step's estimate, with the places at which the guide acted."""
    lines = [Line(WITH, _points(recording), BLUE, frozenset(recording.matched))]
    if without is not None:
        lines.insert(0, Line(WITHOUT, _points(without), ORANGE))
    bands = tuple((first - 0.5, last + 0.5) for first, last in runs(recording.matched))
    return line_plot(
        lines,
        Scale("steps taken (the last: finished)"),
        Scale("distance of phi(x0) from phi(y0)"),
        title=f"How far from the reference, N = {recording.factor:g}",
        span=Span("matched", bands),
    )


def spectrum_plot(
    recording: Recording, without: Recording | None = None, *, unit: str = "pixel"
) -> Image.Image:
    """Power of reference and result at each frequency, with the cut of N."""
    lines = [Line("reference", _spectrum(recording, recording.reference), GREY)]
    if without is not None:
        lines.append(Line(WITHOUT, _spectrum(without, without.result), ORANGE))
    elif recording.unmatched != recording.result:
        lines.append(
            Line("before the last match", _spectrum(recording, recording.unmatched), ORANGE)
        )
    lines.append(Line(WITH, _spectrum(recording, recording.result), BLUE))
    at = cut(recording.factor)
    return line_plot(
        lines,
        Scale(f"cycles per {unit}", log=True),
        Scale("power", log=True),
        title="Coarse to fine",
        span=Span(f"cut of N = {recording.factor:g}", ((at, at),)),
    )


def beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures from left to right, on white."""
    size = sum(picture.width for picture in pictures), max(p.height for p in pictures)
    sheet, across = Image.new("RGB", size, "white"), 0
    for picture in pictures:
        sheet.paste(picture, (across, 0))
        across += picture.width
    return sheet


def below(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures from top to bottom, on white."""
    size = max(picture.width for picture in pictures), sum(p.height for p in pictures)
    sheet, down = Image.new("RGB", size, "white"), 0
    for picture in pictures:
        sheet.paste(picture, (0, down))
        down += picture.height
    return sheet


def _points(recording: Recording) -> list[tuple[float, float]]:
    return [(float(place), value) for place, value in sorted(recording.residuals.items())]


def _spectrum(recording: Recording, power: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(recording.frequencies, power, strict=True))
