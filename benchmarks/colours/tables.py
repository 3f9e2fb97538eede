"""Records as tables and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import TypedDict

from torch import Tensor

from ilvr_latent.pictures.images import save_png, to_images
from ilvr_latent.pictures.sheet import Column, contact_sheet


class Record(TypedDict):
    """What was measured of one way: of each picture, or of one."""

    table: str
    way: str
    numbers: dict[str, list[float]]


Columns = dict[str, tuple[str, str]]
OF_ONCE: Columns = {
    "low band, dB, mean": ("dB", "mean"),
    "worst": ("dB", "min"),
    "ΔE2000": ("delta_e", "mean"),
    "largest offset of a channel": ("offset", "max"),
}
OF_KERNELS: Columns = {
    **OF_ONCE,
    "edges at cells": ("edges", "mean"),
    "change, levels": ("moved", "mean"),
}
OF_ROUNDS: Columns = {
    "ΔE2000 at a quarter": ("quarter", "mean"),
    "worst": ("quarter", "max"),
    "at an eighth": ("eighth", "mean"),
    "low band, dB, worst": ("dB", "min"),
    "seconds a round": ("seconds", "mean"),
}
MEASURES: dict[str, Callable[[list[float]], float]] = {"mean": mean, "min": min, "max": max}


def tables(found: Sequence[Record]) -> str:
    """All of them, in Markdown."""
    return "\n".join(line for table in _names(found) for line in _table(table, found)) + "\n"


def _names(found: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record["table"] for record in found))


def _table(table: str, found: Sequence[Record]) -> Iterator[str]:
    columns = {"once": OF_ONCE, "kernels": OF_KERNELS}.get(table, OF_ROUNDS)
    of_table = [record for record in found if record["table"] == table]
    yield from (
        f"## {table}",
        "",
        f"| | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    )
    for way in dict.fromkeys(record["way"] for record in of_table):
        numbers = [record["numbers"] for record in of_table if record["way"] == way]
        cells = [
            f"{MEASURES[how]([v for each in numbers for v in each[name]]):.3g}"
            for name, how in columns.values()
        ]
        yield f"| {way} | {' | '.join(cells)} |"
    yield ""


def write_picture(path: Path, made: dict[str, list[Tensor]]) -> None:
    """A row for each way: the first picture, some rounds, the last."""
    last = len(next(iter(made.values()))) - 1
    shown = sorted({0, 1, last // 2, last})
    columns = [Column("the start" if k == 0 else f"round {k}") for k in shown]
    rows = [[to_images(pictures[k])[0] for k in shown] for pictures in made.values()]
    save_png(contact_sheet(rows, columns, row_labels=list(made)), path)
