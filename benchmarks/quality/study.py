"""The rows of the study on disk, and how those that are missing are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ilvr_latent.embedded import REFERENCES
from ilvr_latent.evaluation.store import RowStore
from ilvr_latent.pictures.images import find_images, fit_to, read_image, to_images, to_tensor

from .rows import Row, in_order

FACTOR = 8.0


@dataclass(frozen=True)
class Study:
    """What every row is made of.

    Args:
        folder: where rows are kept.
        references: (R, 3, S, S) in [-1, 1].
        samples: pictures of each reference.
    """

    folder: Path
    references: Tensor
    samples: int

    @cached_property
    def store(self) -> RowStore:
        """The pictures."""
        names = [f"{r:02d}" for r in range(len(self.references))]
        return RowStore(self.folder / "rows", names, self.samples)

    def seeds(self, k: int) -> list[int]:
        """Of the k-th sample of every reference."""
        return self.store.seeds((r, k) for r in range(len(self.references)))

    def finished(self) -> list[Row]:
        """Every row that is there, whichever calls were asked for."""
        names = {field.name for field in fields(Row)}
        known = self.store.records().values()
        return in_order([Row(**{name: one[name] for name in names & one.keys()}) for one in known])

    def write(self, row: Row, pictures: Tensor, calls: int) -> None:
        """Keep a row: pictures (R, K, 3, S, S), and what they cost."""
        self.store.write(row.name, self.store.places, to_images(pictures.flatten(0, 1)))
        self.store.record(row.name, {**asdict(row), "calls": calls})

    def read(self, row: Row) -> tuple[Tensor, int]:
        """The pictures (R, K, 3, S, S) in [-1, 1], and the calls of the network for each."""
        return self.store.read(row.name), self.store.records()[row.name]["calls"]


def shipped_references(side: int, limit: int | None = None) -> Tensor:
    """The references that come with the package, (R, 3, side, side) in [-1, 1]."""
    return _pictures(find_images([str(REFERENCES)])[:limit], side)


def named_references(names: Sequence[str], side: int) -> Tensor:
    """Some of them, (R, 3, side, side) in [-1, 1]."""
    return _pictures([REFERENCES / f"{name}.png" for name in names], side)


def _pictures(paths: Sequence[Path], side: int) -> Tensor:
    return torch.cat([to_tensor(fit_to(read_image(path), (side, side))) for path in paths])


def say_at_once(line: str) -> None:
    """Print, however slow the next line is."""
    print(line, flush=True)


def make_missing(
    study: Study,
    rows: Iterable[Row],
    make: Callable[[Row, list[int]], tuple[Tensor, int]],
    say: Callable[[str], None] = say_at_once,
) -> None:
    """Sample the rows that are not there.

    Args:
        study: where they go.
        rows: in this order.
        make: samples a row with a seed for each reference: pictures (R, 3, S, S), and the calls of
            the network that they took.
        say: is told of each row.

    Raises:
        ValueError: a row's batches took different numbers of calls, which no table could say.
    """
    there = study.store.records()
    missing = [row for row in rows if row.name not in there]
    for number, row in enumerate(missing, start=1):
        say(f"{number} of {len(missing)}: {row.name}")
        made = [make(row, study.seeds(k)) for k in range(study.samples)]
        calls = {count for _, count in made}
        if len(calls) != 1:
            raise ValueError(f"{row.name} took {sorted(calls)} calls.")
        study.write(row, torch.stack([x for x, _ in made], dim=1), calls.pop())
