"""The samples of every setting, kept as PNG files: what is there is not made again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..pictures.files import written_whole
from ..pictures.images import read_image, save_png, to_tensor
from .plan import Setting

SEEDS_OF_A_REFERENCE = 1000


@dataclass(frozen=True)
class Batch:
    """Samples that are made together.

    Attributes:
        setting: the row that they belong to.
        reference: index of their reference.
        first: number of the first sample.
        last: one beyond the last.
    """

    setting: Setting
    reference: int
    first: int
    last: int


class Maker(Protocol):
    """Makes the samples of a row."""

    def check(self, references: Tensor, setting: Setting) -> None:
        """Find what is wrong with a row before any work.

        Raises:
            InputError: something is.
        """
        ...

    def calls(self, setting: Setting) -> int:
        """Steps of progress for a batch."""
        ...

    def make(
        self,
        reference: Tensor,
        setting: Setting,
        seeds: Sequence[int],
        advance: Callable[[], None],
    ) -> list[Image.Image]:
        """A picture for each seed.

        Args:
            reference: (1, 3, H, W) in [-1, 1].
            setting: of the row.
            seeds: one for each picture.
            advance: called as progress is made.
        """
        ...


@dataclass(frozen=True)
class Gallery:
    """All samples of an evaluation, on disk or to be made.

    Args:
        folder: where they are kept.
        maker: what makes them.
        names: of the references.
        references: (R, 3, H, W) in [-1, 1].
        samples: pictures for each reference and setting.
        seed: sample k of reference r has seed + 1000 r + k.
        batch_size: pictures at a time.
    """

    folder: Path
    maker: Maker
    names: Sequence[str]
    references: Tensor
    samples: int
    seed: int
    batch_size: int

    def check(self, settings: Sequence[Setting]) -> None:
        """Find what cannot be sampled, before any work.

        Raises:
            InputError: something can't, such as a range that holds no step.
        """
        for setting in settings:
            self.maker.check(self.references, setting)

    def missing(self, settings: Sequence[Setting]) -> list[Batch]:
        """What has not been made yet; a batch is made whole, so that it is always the same."""
        return [
            batch
            for setting in settings
            for batch in self._batches(setting)
            if not all(path.exists() for path in self._paths(batch))
        ]

    def make(self, batch: Batch, advance: Callable[[], None]) -> None:
        """Sample one batch and write its pictures."""
        seeds = [
            self.seed + SEEDS_OF_A_REFERENCE * batch.reference + k
            for k in range(batch.first, batch.last)
        ]
        y_0 = self.references[batch.reference : batch.reference + 1]
        made = self.maker.make(y_0, batch.setting, seeds, advance)
        for picture, path in zip(made, self._paths(batch), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            save_png(picture, path)

    def read(self, setting: Setting) -> Tensor:
        """The samples of a row, (R, K, 3, H, W) in [-1, 1]."""
        paths = [path for batch in self._batches(setting) for path in self._paths(batch)]
        pictures = torch.cat([to_tensor(read_image(path)) for path in paths])
        return pictures.view(len(self.names), self.samples, *pictures.shape[1:])

    def _batches(self, setting: Setting) -> Iterator[Batch]:
        for reference in range(len(self.names)):
            for first in range(0, self.samples, self.batch_size):
                last = min(first + self.batch_size, self.samples)
                yield Batch(setting, reference, first, last)

    def _paths(self, batch: Batch) -> list[Path]:
        folder, name = self.folder / batch.setting.name, self.names[batch.reference]
        return [folder / f"{name}_{k}.png" for k in range(batch.first, batch.last)]


def claim(folder: Path, settings: dict[str, object]) -> None:
    """Write down what a folder's samples are made with, or make sure that it is the same.

    Raises:
        InputError: they were made with other settings.
    """
    path = folder / "settings.json"
    if path.exists():
        before = json.loads(path.read_text())
        changed = [name for name in settings if before.get(name) != settings[name]]
        if changed:
            raise InputError(
                f"{str(folder)!r} holds samples of other settings ({', '.join(changed)}); "
                "choose another --output, or delete it."
            )
        return
    with written_whole(path) as partial:
        partial.write_text(json.dumps(settings, indent=2) + "\n")
