"""What the commands make pictures with, whatever the model."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from ..adm import load_adm
from ..embedded import PIXEL_MODEL
from ..errors import InputError
from ..guide import Guide
from ..ilvr import ILVR
from ..images import to_images
from ..noise import SeededNoise
from ..reference import Reference
from ..sampling import check_sampler, checked_variance, labels_for, sample_with
from ..schedule import Schedule
from .common import Advance, choose_device, choose_dtype
from .settings import Settings

Watch = Callable[[Guide, Reference], Guide]
"""Puts something around the method of a run, which sees what the network makes of it."""


class PictureMaker(Protocol):
    """A model that has been loaded."""

    size: tuple[int, int]
    """Width and height of the pictures."""
    cell: int
    """Pixels to one unit of N."""
    timesteps: int
    """Of the forward process."""

    def calls(self, settings: Settings) -> int:
        """Steps of progress for a batch."""
        ...

    def check(self, references: Tensor, settings: Settings) -> None:
        """Find what is wrong with the settings before any work.

        Raises:
            InputError: something is.
        """
        ...

    def make(
        self,
        references: Tensor,
        settings: Settings,
        seeds: Sequence[int],
        advance: Advance,
        watch: Watch | None = None,
    ) -> list[Image.Image]:
        """One picture for each of the seeds.

        Args:
            references: (B, 3, H, W) in [-1, 1], one for all or one for each seed.
            settings: that were checked.
            seeds: one for each picture.
            advance: called as progress is made.
            watch: put around the method.
        """
        ...


def load_maker(options: argparse.Namespace) -> PictureMaker:
    """The model that the options name; a command checks them first.

    Raises:
        InputError: it cannot be loaded.
    """
    device = choose_device(options.device)
    if options.pipeline is None:
        options.model = options.model or "embedded"
        return ADMPictures(options, device)
    from .pipeline_pictures import PipelinePictures

    return PipelinePictures(options, device)


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
    """Pictures from a guided-diffusion checkpoint; see :class:`PictureMaker`."""

    cell = 1

    def __init__(self, options: argparse.Namespace, device: torch.device) -> None:
        path = PIXEL_MODEL if options.model == "embedded" else options.model
        dtype = choose_dtype(options.dtype, device)
        self._model = load_adm(path, device=device, dtype=dtype, **parse_flags(options.flag))
        config = self._model.config
        self.size = config.image_size, config.image_size
        self.timesteps = config.diffusion_steps

    def calls(self, settings: Settings) -> int:
        """See :class:`PictureMaker`."""
        return len(self._schedule(settings))

    def check(self, references: Tensor, settings: Settings) -> None:
        """See :class:`PictureMaker`."""
        config = self._model.config
        check_sampler(settings.sampler, settings.eta)
        checked_variance(config, settings.variance)
        labels_for(config, settings.class_label, 1, self._model.device)
        settings.reference(references).matched_steps(self._schedule(settings))

    def _schedule(self, settings: Settings) -> Schedule:
        config = self._model.config
        return Schedule(config.noise_schedule, config.diffusion_steps, settings.steps)

    def make(
        self,
        references: Tensor,
        settings: Settings,
        seeds: Sequence[int],
        advance: Advance,
        watch: Watch | None = None,
    ) -> list[Image.Image]:
        """See :class:`PictureMaker`."""
        model, reference = self._model, settings.reference(references)
        guide: Guide = ILVR(
            reference,
            space=settings.space,
            reference_noise=settings.reference_noise or "fresh",
        )
        x = sample_with(
            model,
            guide if watch is None else watch(guide, reference),
            shape=(len(seeds), *references.shape[1:]),
            steps=settings.steps,
            sampler=settings.sampler,
            eta=settings.eta,
            variance=settings.variance,
            class_labels=labels_for(model.config, settings.class_label, len(seeds), model.device),
            noise=SeededNoise(list(seeds), model.device),
            callback=lambda step, x: advance(),
        )
        return to_images(x)
