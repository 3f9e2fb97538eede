"""The samples of every setting, kept as PNG files: what is there is not made again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..denoiser import Denoiser
from ..errors import InputError
from ..files import written_whole
from ..images import read_image, save_png, to_images, to_tensor
from ..reference import Reference
from ..sampling import labels_for, sample
from ..schedule import Schedule
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


@dataclass(frozen=True)
class Gallery:
    """All samples of an evaluation, on disk or to be made.

    Args:
        folder: where they are kept.
        model: what makes them.
        names: of the references.
        references: (R, 3, S, S) in [-1, 1].
        samples: pictures for each reference and setting.
        steps: of sampling.
        seed: sample k of reference r has seed + 1000 r + k.
        batch_size: pictures at a time.
        class_label: for class-conditional models.
    """

    folder: Path
    model: Denoiser
    names: Sequence[str]
    references: Tensor
    samples: int
    steps: str
    seed: int
    batch_size: int
    class_label: int | None = None

    @property
    def schedule(self) -> Schedule:
        """The sampling steps of every picture."""
        config = self.model.config
        return Schedule(config.noise_schedule, config.diffusion_steps, self.steps)

    def check(self, settings: Sequence[Setting]) -> None:
        """Find what cannot be sampled, before any work.

        Raises:
            InputError: a range holds no step, or the class label does not fit the model.
        """
        labels_for(self.model.config, self.class_label, 1, self.model.device)
        for setting in settings:
            if setting.factor is not None:
                self._reference(setting, 0).matched_steps(self.schedule)

    def missing(self, settings: Sequence[Setting]) -> list[Batch]:
        """What has not been made yet; a batch is made whole, so that it is always the same."""
        return [
            batch
            for setting in settings
            for batch in self._batches(setting)
            if not all(path.exists() for path in self._paths(batch))
        ]

    def make(self, batch: Batch, on_step: Callable[[], None]) -> None:
        """Sample one batch and write its pictures."""
        seeds = [
            self.seed + SEEDS_OF_A_REFERENCE * batch.reference + k
            for k in range(batch.first, batch.last)
        ]
        guided = batch.setting.factor is not None
        x = sample(
            self.model,
            self._reference(batch.setting, batch.reference) if guided else None,
            shape=(len(seeds), *self.references.shape[1:]),
            steps=self.steps,
            seed=seeds,
            class_labels=self.class_label,
            callback=lambda step, x: on_step(),
        )
        for picture, path in zip(to_images(x), self._paths(batch), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            save_png(picture, path)

    def read(self, setting: Setting) -> Tensor:
        """The samples of a row, (R, K, 3, S, S) in [-1, 1]."""
        paths = [path for batch in self._batches(setting) for path in self._paths(batch)]
        pictures = torch.cat([to_tensor(read_image(path)) for path in paths])
        return pictures.view(len(self.names), self.samples, *pictures.shape[1:])

    def _reference(self, setting: Setting, index: int) -> Reference:
        assert setting.factor is not None
        image = self.references[index : index + 1]
        return Reference(image, setting.factor, window=setting.window)

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
