"""Rows as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from .measure import Row

HEADINGS = (
    "",
    "pictures",
    "FID",
    "KID x 1000",
    "diversity",
    "low-pass residual",
    "distance to reference",
)


def markdown(
    yardsticks: Sequence[Row], by_factor: Sequence[Row], by_range: Sequence[Row], note: str
) -> str:
    """The whole report.

    Args:
        yardsticks: what to compare with.
        by_factor: a row for each N.
        by_range: a row for each conditioning range.
        note: what the numbers were measured with.
    """
    parts = [
        note,
        *_titled("Yardsticks", yardsticks, [row.name for row in yardsticks]),
        *_titled("By factor, whole range", by_factor, [f"N = {row.factor:g}" for row in by_factor]),
    ]
    if by_range:
        title = f"By conditioning range, N = {by_range[0].factor:g}"
        parts += _titled(title, by_range, [f"t = {row.hi} to {row.lo}" for row in by_range])
    return "\n\n".join(parts) + "\n"


def _titled(title: str, rows: Sequence[Row], names: Sequence[str]) -> tuple[str, str]:
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(_cells, rows, names)]
    return f"## {title}", "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Row, name: str) -> tuple[str, ...]:
    measured = (row.diversity, row.residual, row.reference_distance)
    return (
        name,
        str(row.pictures),
        f"{row.fid:.2f}",
        f"{1000 * row.kid:.1f}",
        *("" if value is None else f"{value:.3f}" for value in measured),
    )
