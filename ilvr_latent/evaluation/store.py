"""The samples of every row, kept as PNG files: what is there is not made again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..pictures.files import written_whole
from ..pictures.images import read_image, save_png, to_tensor

SEEDS_OF_A_REFERENCE = 1000
RECORD = "row.json"


class RowKind(Protocol):
    """What a row is made with, whatever a table is about."""

    @property
    def name(self) -> str:
        """For a folder."""
        ...


Place = tuple[int, int]
"""Index of a reference, and number of a sample of it."""

R = TypeVar("R", bound=RowKind)
# Of what only takes rows.
Taken = TypeVar("Taken", bound=RowKind, contravariant=True)


@dataclass(frozen=True)
class Batch(Generic[R]):
    """Samples that are made together.

    Attributes:
        setting: the row that they belong to.
        places: of which references they are, and which samples.
    """

    setting: R
    places: Sequence[Place]


class Maker(Protocol[Taken]):
    """Makes the samples of a row."""

    def check(self, references: Tensor, setting: Taken) -> None:
        """Find what is wrong with a row before any work.

        Raises:
            InputError: something is.
        """
        ...

    def calls(self, setting: Taken) -> int:
        """Steps of progress for a batch."""
        ...

    def make(
        self,
        references: Tensor,
        setting: Taken,
        seeds: Sequence[int],
        advance: Callable[[], None],
    ) -> list[Image.Image]:
        """A picture for each seed.

        Args:
            references: (B, 3, H, W) in [-1, 1], one for each seed.
            setting: of the row.
            seeds: one for each picture.
            advance: called as progress is made.
        """
        ...


@dataclass(frozen=True)
class RowStore:
    """The pictures of rows on disk, under the names of the rows.

    Args:
        folder: where they are kept.
        names: of the references.
        samples: pictures for each reference and row.
        seed: sample k of reference r has seed + 1000 r + k.
    """

    folder: Path
    names: Sequence[str]
    samples: int
    seed: int = 0

    @property
    def places(self) -> list[Place]:
        """Of all samples of a row."""
        return list(itertools.product(range(len(self.names)), range(self.samples)))

    def seeds(self, places: Iterable[Place]) -> list[int]:
        """Of some samples."""
        return [self.seed + SEEDS_OF_A_REFERENCE * reference + k for reference, k in places]

    def has(self, row: str, places: Iterable[Place]) -> bool:
        """Whether they have all been made."""
        return all(self._path(row, *place).exists() for place in places)

    def write(self, row: str, places: Iterable[Place], pictures: Sequence[Image.Image]) -> None:
        """Keep some samples."""
        for place, picture in zip(places, pictures, strict=True):
            path = self._path(row, *place)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_png(picture, path)

    def read(self, row: str) -> Tensor:
        """The samples of a row, (R, K, 3, H, W) in [-1, 1].

        Raises:
            InputError: a picture cannot be read, or is of another size.
        """
        paths = [self._path(row, *place) for place in self.places]
        read = [to_tensor(read_image(path)) for path in paths]
        for path, picture in zip(paths, read, strict=True):
            if picture.shape != read[0].shape:
                raise InputError(
                    f"{str(path)!r} is of another size than {paths[0].name!r}; delete the one that "
                    "is wrong, and it is made again."
                )
        pictures = torch.cat(read)
        return pictures.view(len(self.names), self.samples, *pictures.shape[1:])

    def record(self, row: str, known: Mapping[str, object]) -> None:
        """Write down what is known of a row; last, where it says that the row is finished."""
        path = self.folder / row / RECORD
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.write_text(json.dumps(dict(known), indent=2) + "\n")

    def records(self) -> dict[str, dict[str, Any]]:
        """Under the name of each row that has one, what is known of it."""
        paths = sorted(self.folder.glob(f"*/{RECORD}"))
        return {path.parent.name: _read_record(path) for path in paths}

    def _path(self, row: str, reference: int, k: int) -> Path:
        return self.folder / row / f"{self.names[reference]}_{k}.png"


@dataclass(frozen=True)
class Gallery(Generic[R]):
    """All samples of an evaluation, on disk or to be made.

    Args:
        store: where they are kept.
        maker: what makes them.
        references: (R, 3, H, W) in [-1, 1].
        batch_size: pictures at a time.
    """

    store: RowStore
    maker: Maker[R]
    references: Tensor
    batch_size: int

    def check(self, settings: Sequence[R]) -> None:
        """Find what cannot be sampled, before any work.

        Raises:
            InputError: something can't, such as a range that holds no step.
        """
        for setting in settings:
            self.maker.check(self.references, setting)

    def missing(self, settings: Sequence[R]) -> list[Batch[R]]:
        """What has not been made yet; a batch is of one row, and made whole: always the same."""
        return [
            batch
            for setting in settings
            for batch in self._batches(setting)
            if not self.store.has(setting.name, batch.places)
        ]

    def make(self, batch: Batch[R], advance: Callable[[], None]) -> None:
        """Sample one batch and write its pictures."""
        y_0 = self.references[[reference for reference, _ in batch.places]]
        made = self.maker.make(y_0, batch.setting, self.store.seeds(batch.places), advance)
        self.store.write(batch.setting.name, batch.places, made)

    def read(self, setting: R) -> Tensor:
        """The samples of a row, (R, K, 3, H, W) in [-1, 1]."""
        pictures = self.store.read(setting.name)
        if pictures.shape[-2:] != self.references.shape[-2:]:
            raise InputError(
                f"The pictures kept in {str(self.store.folder / setting.name)!r} are of another "
                "size than the model's; delete that folder, and they are made again."
            )
        return pictures

    def _batches(self, setting: R) -> Iterator[Batch[R]]:
        places = self.store.places
        for first in range(0, len(places), self.batch_size):
            yield Batch(setting, places[first : first + self.batch_size])


def _read_record(path: Path) -> dict[str, Any]:
    """What was written down.

    Raises:
        InputError: it is not that any more.
    """
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, dict):
        raise InputError(
            f"{str(path)!r} is damaged, so nobody knows what the samples beside it are; delete its "
            "folder, or choose another --output."
        )
    return known


def hold_to(folder: Path, settings: dict[str, object]) -> None:
    """Write down what a folder's samples are made with, or make sure that it is the same.

    Raises:
        InputError: they were made with other settings.
    """
    path = folder / "settings.json"
    if path.exists():
        before = _read_record(path)
        changed = [name for name in settings if before.get(name) != settings[name]]
        if changed:
            raise InputError(
                f"{str(folder)!r} holds samples of other settings ({', '.join(changed)}); "
                "choose another --output, or delete it."
            )
        return
    with written_whole(path) as partial:
        partial.write_text(json.dumps(settings, indent=2) + "\n")
