"""What a reference does to a run, in words: which steps are matched, and what N means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..phrases import Phrase, sentences, spans
from .bands import band_in_words

if TYPE_CHECKING:
    from .ilvr import Placed


def in_words(placed: Placed) -> str:
    """Which steps are matched, and what N and the band mean."""
    band = band_in_words(placed.reference.band, placed.reference.frames_factor)
    said = [_steps_in_words(placed), _factor_in_words(placed), band, _clip_in_words(placed)]
    return sentences([each for each in said if each is not None])


def _factor_in_words(placed: Placed) -> Phrase:
    factor = placed.lowpass.factor
    share = Phrase("1/{parts} of the side", parts=f"{1 / placed.share:.3g}")
    if placed.cell == 1:
        return Phrase("N = {number} pixels: {share}.", number=f"{factor:.3g}", share=share)
    return Phrase(
        "N = {number} cells: {pixels} pixels, {share}.",
        number=f"{factor:.3g}",
        pixels=f"{factor * placed.cell:.3g}",
        share=share,
    )


def _clip_in_words(placed: Placed) -> Phrase | None:
    if (count := placed.frames) is None:
        return None
    return Phrase("The {count} pictures of the batch are the frames of a clip.", count=count)


def _steps_in_words(placed: Placed) -> Phrase:
    if not placed.weights and not placed.weight_at_end:
        return Phrase(
            "Matches no step of {count}: none is in the range."
            if placed.reference.weight
            else "Matches no step of {count}: the weight is 0.",
            count=placed.steps,
        )
    matched = sorted(placed.weights)
    return Phrase(
        "Matches {what}{weights}.",
        what=_matched_in_words(placed, matched),
        weights=_weights_in_words(placed, matched),
    )


def _matched_in_words(placed: Placed, matched: Sequence[int]) -> Phrase:
    picture = Phrase("the finished picture")
    if not matched:
        return picture
    steps = Phrase(
        "step {steps} of {count}" if len(matched) == 1 else "steps {steps} of {count}",
        steps=spans(matched),
        count=placed.steps,
    )
    if not placed.weight_at_end:
        return steps
    return Phrase("{steps} and {picture}", steps=steps, picture=picture)


def _weights_in_words(placed: Placed, matched: Sequence[int]) -> str:
    weights = [placed.weights[index] for index in matched]
    weights += [placed.weight_at_end] if placed.weight_at_end else []
    low, high = f"{min(weights):.2g}", f"{max(weights):.2g}"
    if low == high:
        return "" if low == "1" else Phrase(", weight {weight}", weight=low)
    start, end = (high, low) if weights[0] >= weights[-1] else (low, high)
    return Phrase(", weight {start} to {end}", start=start, end=end)
