"""What ``ilvr sample`` makes pictures with, whatever the model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from ..adm import load_adm
from ..embedded import PIXEL_MODEL
from ..errors import InputError
from ..images import to_images
from ..reference import Reference
from ..sampling import sample
from ..schedule import Schedule
from ..weight import WeightSchedule
from ..window import Window
from .common import Advance, choose_dtype


class PictureMaker(Protocol):
    """A model that has been loaded, with the settings of the command."""

    size: tuple[int, int]
    """Width and height of the pictures."""
    cell: int
    """Pixels to one unit of N."""
    calls: int
    """Steps of progress for a batch."""

    def check(self, references: Tensor, factor: float) -> None:
        """Find what is wrong with the settings before any work.

        Raises:
            InputError: something is.
        """
        ...

    def make(
        self, references: Tensor, factor: float, seeds: Sequence[int], advance: Advance
    ) -> list[Image.Image]:
        """One picture for each of the references (B, 3, H, W) in [-1, 1]."""
        ...


def parse_flags(pairs: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE pairs as a dict.

    Raises:
        InputError: a pair has no '='.
    """
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--flag is {pair!r}; write NAME=VALUE, such as num_heads=4.")
    return dict(pair.split("=", 1) for pair in pairs)


class ADMPictures:
    """Pictures from a guided-diffusion checkpoint."""

    cell = 1

    def __init__(
        self,
        options: argparse.Namespace,
        window: Window,
        weight: float | WeightSchedule,
        device: torch.device,
    ) -> None:
        path = PIXEL_MODEL if options.model == "embedded" else options.model
        dtype = choose_dtype(options.dtype, device)
        self._model = load_adm(path, device=device, dtype=dtype, **parse_flags(options.flag))
        self._options, self._window, self._weight = options, window, weight
        config = self._model.config
        self.size = config.image_size, config.image_size
        self._schedule = Schedule(config.noise_schedule, config.diffusion_steps, options.steps)
        self.calls = len(self._schedule)

    def check(self, references: Tensor, factor: float) -> None:
        """See :class:`PictureMaker`."""
        self._reference(references, factor).matched_steps(self._schedule)

    def _reference(self, references: Tensor, factor: float) -> Reference:
        options = self._options
        return Reference(
            references, factor, window=self._window, weight=self._weight, kernel=options.kernel
        )

    def make(
        self, references: Tensor, factor: float, seeds: Sequence[int], advance: Advance
    ) -> list[Image.Image]:
        """See :class:`PictureMaker`."""
        options = self._options
        x = sample(
            self._model,
            self._reference(references, factor),
            steps=options.steps,
            sampler=options.sampler,
            eta=options.eta,
            variance=None if options.variance == "auto" else options.variance,
            space=options.space,
            class_labels=options.class_label,
            seed=list(seeds),
            callback=lambda step, x: advance(),
        )
        return to_images(x)
