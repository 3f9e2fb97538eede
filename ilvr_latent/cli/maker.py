"""What the commands make pictures with, whatever the model."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from ..adm import load_adm
from ..diffusion.guide import Guide
from ..diffusion.loop import labels_for, sample_with
from ..diffusion.noise import SeededNoise
from ..diffusion.samplers import chosen_sampler
from ..diffusion.schedule import Schedule
from ..embedded import PIXEL_MODEL
from ..errors import InputError
from ..guides.ilvr import ILVR
from ..guides.lowpass import Kernel, LowPass
from ..guides.reference import Reference
from ..pictures.images import fit_to, read_image, to_images, to_tensor
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
    mask: Tensor | None
    """Where references are matched, (1, 1, H, W) in [0, 1] at the size of the pictures."""

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
        InputError: it cannot be loaded, or the mask cannot be read.
    """
    device = choose_device(options.device)
    mask = None if options.mask is None else read_image(options.mask).convert("L")
    maker: PictureMaker
    if options.pipeline is None:
        options.model = options.model or "embedded"
        maker = ADMPictures(options, device)
    else:
        from .pipeline_maker import PipelinePictures

        maker = PipelinePictures(options, device)
    if mask is not None:
        fitted = fit_to(mask.convert("RGB"), maker.size, options.fit)
        maker.mask = (to_tensor(fitted)[:, :1] + 1) / 2
    return maker


def matched_part(
    maker: PictureMaker, references: Tensor, factor: float, kernel: Kernel
) -> list[Image.Image]:
    """What samples are held to: the low-pass of each reference, grey where the mask is black."""
    low = LowPass(factor * maker.cell, kernel)(references)
    return to_images(low if maker.mask is None else low * maker.mask)


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
        self.mask: Tensor | None = None

    def calls(self, settings: Settings) -> int:
        """See :class:`PictureMaker`."""
        steps = len(self._schedule(settings))
        return steps if settings.resampling is None else settings.resampling.calls(steps)

    def check(self, references: Tensor, settings: Settings) -> None:
        """See :class:`PictureMaker`."""
        config = self._model.config
        sampler, eta, _ = settings.reverse(len(self._schedule(settings)))
        chosen_sampler(sampler, config, eta=eta, variance=settings.variance)
        labels_for(config, settings.class_label, 1, self._model.device)
        settings.reference(references, self.mask).matched_steps(self._schedule(settings))
        self.calls(settings)

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
        model, reference = self._model, settings.reference(references, self.mask)
        sampler, eta, noise = settings.reverse(len(self._schedule(settings)))
        guide: Guide = ILVR(reference, space=settings.space, reference_noise=noise)
        x = sample_with(
            model,
            guide if watch is None else watch(guide, reference),
            shape=(len(seeds), *references.shape[1:]),
            steps=settings.steps,
            sampler=sampler,
            eta=eta,
            variance=settings.variance,
            class_labels=labels_for(model.config, settings.class_label, len(seeds), model.device),
            resampling=settings.resampling,
            noise=SeededNoise(list(seeds), model.device),
            callback=lambda step, x: advance(),
        )
        return to_images(x)
