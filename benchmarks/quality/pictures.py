"""The samples of every row, kept as a PNG and a JSON file: what is there is not made again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ilvr_latent.embedded import REFERENCES
from ilvr_latent.pictures.files import written_whole
from ilvr_latent.pictures.images import (
    find_images,
    fit_to,
    read_image,
    save_png,
    to_images,
    to_tensor,
)

from .plan import Row, in_order

FACTOR = 8.0
SEEDS_OF_A_REFERENCE = 1000


@dataclass(frozen=True)
class Study:
    """What every row is made of.

    Args:
        folder: where rows are kept.
        references: (R, 3, S, S) in [-1, 1].
        samples: pictures of each reference.
        seed: sample k of reference r starts from seed + 1000 r + k.
    """

    folder: Path
    references: Tensor
    samples: int
    seed: int = 0

    def seeds(self, k: int) -> list[int]:
        """Of the k-th sample of every reference."""
        return [self.seed + SEEDS_OF_A_REFERENCE * r + k for r in range(len(self.references))]

    def has(self, row: Row) -> bool:
        """Whether it is finished."""
        return self._path(row, ".json").exists()

    def finished(self) -> list[Row]:
        """Every row that is there, whichever calls were asked for."""
        records = [json.loads(path.read_text()) for path in self._rows.glob("*.json")]
        names = [field.name for field in fields(Row)]
        return in_order([Row(**{name: record[name] for name in names}) for record in records])

    def write(self, row: Row, pictures: Tensor, calls: int) -> None:
        """Keep a row: pictures (R, K, 3, S, S) as a sheet of R lines, and what it cost."""
        self._rows.mkdir(parents=True, exist_ok=True)
        sheet = torch.cat([torch.cat(list(line), dim=2) for line in pictures], dim=1)
        save_png(to_images(sheet[None])[0], self._path(row, ".png"))
        # Last: it says that the row is finished.
        with written_whole(self._path(row, ".json")) as partial:
            partial.write_text(json.dumps({**asdict(row), "calls": calls}, indent=2) + "\n")

    def read(self, row: Row) -> tuple[Tensor, int]:
        """The pictures (R, K, 3, S, S) in [-1, 1], and the calls of the network for each."""
        record = json.loads(self._path(row, ".json").read_text())
        (sheet,) = to_tensor(read_image(self._path(row, ".png")))
        side = self.references.shape[-1]
        tiles = sheet.unfold(1, side, side).unfold(2, side, side)
        return tiles.permute(1, 2, 0, 3, 4), record["calls"]

    @property
    def _rows(self) -> Path:
        return self.folder / "rows"

    def _path(self, row: Row, suffix: str) -> Path:
        return self._rows / (row.name + suffix)


def shipped_references(side: int, limit: int | None = None) -> Tensor:
    """The references that come with the package, (R, 3, side, side) in [-1, 1]."""
    paths = find_images([str(REFERENCES)])[:limit]
    pictures: list[Image.Image] = [fit_to(read_image(path), (side, side)) for path in paths]
    return torch.cat([to_tensor(picture) for picture in pictures])


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
    missing = [row for row in rows if not study.has(row)]
    for number, row in enumerate(missing, start=1):
        say(f"{number} of {len(missing)}: {row.name}")
        made = [make(row, study.seeds(k)) for k in range(study.samples)]
        calls = {count for _, count in made}
        if len(calls) != 1:
            raise ValueError(f"{row.name} took {sorted(calls)} calls.")
        study.write(row, torch.stack([x for x, _ in made], dim=1), calls.pop())
