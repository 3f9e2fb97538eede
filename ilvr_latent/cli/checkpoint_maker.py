"""Pictures from a guided-diffusion checkpoint."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..adm import load_adm, with_perturbed_attention
from ..diffusion.dormand_prince import check_tolerance
from ..diffusion.guide import HOOKS, Guide, Run, begun
from ..diffusion.loop import labels_for, sample_with
from ..diffusion.loops import LOOPS
from ..diffusion.noise import SeededNoise
from ..diffusion.predictor_corrector import PredictorCorrector
from ..diffusion.samplers import chosen_sampler
from ..diffusion.schedule import Schedule
from ..embedded import PIXEL_MODEL
from ..errors import InputError
from ..pictures.images import to_images
from .batches import guide_of_all, of_each
from .common import Advance, choose_dtype
from .guiding import Guiding, parse_flags
from .making import Watch
from .method_settings import MATCHED, method_of
from .settings import Settings
from .styling import with_style


class ADMPictures:
    """Pictures from a guided-diffusion checkpoint; see :class:`.making.PictureMaker`."""

    cell = 1

    def __init__(self, options: Settings, device: torch.device) -> None:
        path = PIXEL_MODEL if options.checkpoint == "embedded" else options.checkpoint
        dtype = choose_dtype(options.dtype, device, options.checkpoint)
        self._model = load_adm(path, device=device, dtype=dtype, **parse_flags(options.flag))
        config = self._model.config
        self.size = config.image_size, config.image_size
        self.timesteps = config.diffusion_steps
        self.mask: Tensor | None = None
        embedded = options.checkpoint == "embedded"
        self._guiding = Guiding(self.size, self._model.device, embedded=embedded)

    def calls(self, settings: Settings) -> int:
        """See :class:`.making.PictureMaker`."""
        steps = len(self._schedule(settings))
        start = method_of(settings).start(torch.empty(0), steps)
        if start is not None:
            steps -= start.index
        repeats = 1 if settings.loss is None else settings.recurrence
        steps = steps if settings.resampling is None else settings.resampling.calls(steps)
        return repeats * steps

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
        with_perturbed_attention(self._model, settings.perturbed_attention)
        if settings.method in MATCHED:
            settings.reference(references, self.mask).matched_steps(self._schedule(settings))
        self._check_guide(references, settings)
        self.calls(settings)

    def _check_guide(self, references: Tensor, settings: Settings) -> None:
        """Begin a run without taking a step of it."""
        schedule = self._schedule(settings)
        sampler, _, noise = settings.reverse(len(schedule))
        start = method_of(settings).start(references, len(schedule))
        if start is not None:
            if sampler in LOOPS:
                raise InputError(
                    f"--sampler {sampler} begins with pure noise and the run with the reference; "
                    "use another sampler, or leave --strength and --method out."
                )
            schedule = start.rest(schedule)
        device = self._model.device
        references = references.to(device)
        method = self._guiding.method(settings, references, self.mask, noise)
        guide = self._guiding.around(settings, method, references, self.mask)
        guide = self._with_style(guide, settings)
        missing = ({"repeats"} if sampler in LOOPS else set()) | (
            {"mean"} if sampler not in ("ddpm", "pc") else set()
        )
        seeds = SeededNoise([0] * len(references), device)
        hooks = frozenset(HOOKS) - missing
        begun(guide, Run(schedule, tuple(references.shape), device, seeds, hooks))

    def shared(self, settings: Settings) -> Hashable:
        """See :class:`.making.PictureMaker`."""
        return settings.of_the_run()

    def _with_style(self, guide: Guide, settings: Settings) -> Guide:
        return with_style(guide, settings, self.size, lambda picture: picture)

    def _schedule(self, settings: Settings) -> Schedule:
        config, steps = self._model.config, settings.spaced_steps(self.timesteps)
        return Schedule(config.noise_schedule, self.timesteps, steps)

    def _labels(self, classes: Sequence[int | None]) -> Tensor | None:
        known = [label for label in classes if label is not None]
        given = torch.tensor(known) if known else None
        return labels_for(self._model.config, given, len(classes), self._model.device)

    def make(
        self,
        references: Tensor,
        settings: Settings | Sequence[Settings],
        seeds: Sequence[int],
        advance: Advance,
        watch: Watch | None = None,
    ) -> list[Image.Image]:
        """See :class:`.making.PictureMaker`."""
        each = of_each(settings, len(seeds))
        # Of what the pictures have in common.
        settings = each[0]
        model = with_perturbed_attention(self._model, settings.perturbed_attention)
        steps = len(self._schedule(settings))
        sampler, eta, _ = settings.reverse(steps)
        pictures = references.to(model.device)

        def guide_of(own: Settings, pictures: Tensor) -> Guide:
            *_, noise = own.reverse(steps)
            guide = self._guiding.method(own, pictures, self.mask, noise)
            guide = guide if watch is None else watch(guide, own.reference(pictures, self.mask))
            guide = self._guiding.around(own, guide, pictures, self.mask)
            return self._with_style(guide, own)

        guide = guide_of_all(each, pictures, guide_of)
        start = method_of(settings).start(
            pictures.repeat(len(seeds) // len(pictures), 1, 1, 1), steps
        )
        common: dict[str, Any] = {
            "shape": (len(seeds), *references.shape[1:]),
            "steps": settings.spaced_steps(self.timesteps),
            "class_labels": self._labels([own.class_label for own in each]),
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
            start=start,
            **common,
        )
        return to_images(x)
