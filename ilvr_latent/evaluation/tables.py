"""Rows as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Tables:
    """All rows.

    Attributes:
        yardsticks: what to compare with.
        by_factor: a row for each N.
        by_range: a row for each conditioning range.
    """

    yardsticks: Sequence[Row]
    by_factor: Sequence[Row]
    by_range: Sequence[Row]


def markdown(tables: Tables, networks: str, note: str) -> str:
    """The whole report.

    Args:
        tables: every row.
        networks: what measured them; said at every table.
        note: what the samples were made with.
    """
    yardsticks, by_factor, by_range = tables.yardsticks, tables.by_factor, tables.by_range
    parts = [
        note,
        *_titled("Yardsticks", networks, yardsticks, [row.name for row in yardsticks]),
        *_titled(
            "By factor, whole range", networks, by_factor, [f"N = {r.factor:g}" for r in by_factor]
        ),
    ]
    if by_range:
        title = f"By conditioning range, N = {by_range[0].factor:g}"
        parts += _titled(title, networks, by_range, [f"t = {r.hi} to {r.lo}" for r in by_range])
    return "\n\n".join(parts) + "\n"


def _titled(title: str, networks: str, rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    return [f"## {title}", networks, markdown_table(HEADINGS, map(_cells, rows, names))]


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells as Markdown."""
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Row, name: str) -> tuple[str, ...]:
    measured = (row.diversity, row.residual, row.reference_distance)
    return (
        name,
        str(row.pictures),
        f"{row.fid:.2f}",
        f"{1000 * row.kid:.1f}",
        *("" if value is None else f"{value:.3f}" for value in measured),
    )
