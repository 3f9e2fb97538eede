"""Pictures from a guided-diffusion checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..adm import load_adm
from ..diffusion.dormand_prince import check_tolerance
from ..diffusion.guide import Guide
from ..diffusion.loop import labels_for, sample_with
from ..diffusion.loops import LOOPS
from ..diffusion.noise import SeededNoise
from ..diffusion.predictor_corrector import PredictorCorrector
from ..diffusion.samplers import chosen_sampler
from ..diffusion.schedule import Schedule
from ..embedded import PIXEL_MODEL
from ..errors import InputError
from ..guides.ilvr import ILVR
from ..pictures.images import to_images
from .common import Advance, choose_dtype
from .making import Watch
from .settings import Settings


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
    """Pictures from a guided-diffusion checkpoint; see :class:`.making.PictureMaker`."""

    cell = 1

    def __init__(self, options: Settings, device: torch.device) -> None:
        path = PIXEL_MODEL if options.checkpoint == "embedded" else options.checkpoint
        dtype = choose_dtype(options.dtype, device)
        self._model = load_adm(path, device=device, dtype=dtype, **parse_flags(options.flag))
        config = self._model.config
        self.size = config.image_size, config.image_size
        self.timesteps = config.diffusion_steps
        self.mask: Tensor | None = None

    def calls(self, settings: Settings) -> int:
        """See :class:`.making.PictureMaker`."""
        steps = len(self._schedule(settings))
        return steps if settings.resampling is None else settings.resampling.calls(steps)

    def check(self, references: Tensor, settings: Settings) -> None:
        """See :class:`.making.PictureMaker`."""
        config = self._model.config
        sampler, eta, _ = settings.reverse(len(self._schedule(settings)))
        own = settings.of_loop(sampler)
        if sampler == "pc":
            PredictorCorrector(**own)
        elif sampler == "ode":
            check_tolerance(own.get("tolerance"))
        elif sampler not in LOOPS:
            chosen_sampler(sampler, config, eta=eta, variance=settings.chosen_variance)
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
        """See :class:`.making.PictureMaker`."""
        model, reference = self._model, settings.reference(references, self.mask)
        sampler, eta, noise = settings.reverse(len(self._schedule(settings)))
        guide: Guide = ILVR(reference, reference_noise=noise)
        guide = guide if watch is None else watch(guide, reference)
        common: dict[str, Any] = {
            "shape": (len(seeds), *references.shape[1:]),
            "steps": settings.steps,
            "class_labels": labels_for(
                model.config, settings.class_label, len(seeds), model.device
            ),
            "noise": SeededNoise(list(seeds), model.device),
            "callback": lambda step, x: advance(),
        }
        if sampler in LOOPS:
            return to_images(
                LOOPS[sampler](model, guide=guide, **common, **settings.of_loop(sampler))
            )
        x = sample_with(
            model,
            guide,
            sampler=sampler,
            eta=eta,
            variance=settings.chosen_variance,
            resampling=settings.resampling,
            **common,
        )
        return to_images(x)
