"""``--pipeline``: pictures from a diffusers pipeline on this machine."""

from __future__ import annotations

import functools
import inspect
import logging
import math
import sys
from collections.abc import Hashable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..diffusion.guide import Guide
from ..errors import InputError
from ..guides.ilvr import ILVR
from ..guides.reference import Reference
from ..pictures.images import to_images
from .batches import guide_of_all, of_each
from .common import Advance, choose_dtype, quiet_diffusers
from .making import Watch
from .settings import Settings
from .styling import with_style

logger = logging.getLogger(__name__)

# Tokenizers without a limit name a number like 1e30.
NO_LIMIT = 100_000


class PipelinePictures:
    """Pictures from a diffusers pipeline; see :class:`.making.PictureMaker`."""

    def __init__(self, options: Settings, device: torch.device) -> None:
        # Before diffusers is imported, which warns of what it does not find.
        quiet_diffusers()
        from ..pipelines import default_size
        from ..pipelines.load import add_lora, load_pipeline

        assert options.pipeline is not None
        pipe = load_pipeline(
            options.pipeline,
            device=device,
            dtype=choose_dtype(options.dtype, device, options.pipeline),
        )
        if options.lora is not None:
            add_lora(pipe, options.lora)
        height, width = options.height, options.width
        if height is None or width is None:
            own = default_size(pipe)
            height, width = height or own[0], width or own[1]
        self.size = width, height
        self.cell = int(getattr(pipe, "vae_scale_factor", 8))
        self.timesteps = int(pipe.scheduler.config.num_train_timesteps)
        self._from_noise, self._own_scheduler = pipe, pipe.scheduler
        self.mask: Tensor | None = None
        self._encoded: tuple[Tensor, Tensor] | None = None
        self._read: set[str] = set()

    @functools.cached_property
    def _from_pictures(self) -> Any:
        return _from_images(self._from_noise)

    def calls(self, settings: Settings) -> int:
        """See :class:`.making.PictureMaker`: the pipeline shows its steps itself."""
        return 1

    def check(self, references: Tensor, settings: Settings) -> None:
        """See :class:`.making.PictureMaker`."""
        pipe = self._pipe(settings)
        _call_settings(pipe, settings, self.size)
        latents = self._latents(references)
        self._callback(pipe, latents, [settings], [0], None)
        _check_window(pipe, self._reference(latents, settings), settings)
        for what in ("prompt", "negative_prompt"):
            text = getattr(settings, what)
            if text and text not in self._read:
                self._read.add(text)
                _warn_of_dropped_words(pipe, text, what.replace("_", " "))

    def _pipe(self, settings: Settings) -> Any:
        """The pipeline, with the scheduler that was asked for."""
        from ..pipelines.load import exchange_scheduler

        pipe = self._from_noise if settings.strength is None else self._from_pictures
        pipe.scheduler = self._own_scheduler
        if settings.scheduler is not None:
            exchange_scheduler(pipe, settings.scheduler)
        pipe.set_progress_bar_config(disable=not sys.stderr.isatty(), leave=False)
        return pipe

    def _latents(self, references: Tensor) -> Tensor:
        """The references as latents; encoded once as long as they are the same."""
        from ..pipelines import encode_reference

        if self._encoded is None or self._encoded[0] is not references:
            self._encoded = references, encode_reference(self._from_noise, references)
        return self._encoded[1]

    def _encoded_style(self, picture: Tensor) -> Tensor:
        from ..pipelines import encode_reference

        return encode_reference(self._from_noise, picture)

    def _reference(self, latents: Tensor, settings: Settings) -> Reference:
        mask = self.mask
        if mask is not None:
            mask = F.interpolate(mask, latents.shape[-2:], mode="area")
        return settings.reference(latents, mask)

    def _callback(
        self,
        pipe: Any,
        latents: Tensor,
        settings: Sequence[Settings],
        seeds: Sequence[int],
        watch: Watch | None,
    ) -> Any:
        from ..pipelines import GuideCallback

        def guide_of(own: Settings, latents: Tensor) -> Guide:
            reference = self._reference(latents, own)
            guide: Guide = ILVR(reference, reference_noise=own.chosen_noise)
            guide = guide if watch is None else watch(guide, reference)
            return with_style(guide, own, self.size, self._encoded_style)

        predictions = watch is not None or any(
            own.space == "prediction" or own.style is not None for own in settings
        )
        guide = guide_of_all(settings, latents, guide_of)
        return GuideCallback(pipe, guide, latents, predictions=predictions, seed=seeds)

    def shared(self, settings: Settings) -> Hashable:
        """See :class:`.making.PictureMaker`."""
        from ..pipelines.levels import solver_of

        # Where one picture was matched, their corrector sits out for the whole batch.
        corrects = solver_of(self._pipe(settings).scheduler).corrects
        return settings if corrects else settings.of_the_run()

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
        pipe = self._pipe(settings)
        arguments = _call_settings(pipe, settings, self.size)
        for option in ("prompt", "negative_prompt"):
            if option in arguments:
                arguments[option] = [getattr(own, option) for own in each]
        if settings.strength is not None:
            arguments["image"] = to_images(references.expand(len(seeds), -1, -1, -1))
        # On the CPU, as diffusers advises: the same picture on every device.
        arguments["generator"] = [torch.Generator().manual_seed(seed) for seed in seeds]
        with self._callback(pipe, self._latents(references), each, seeds, watch):
            made: list[Image.Image] = pipe(**arguments).images
        advance()
        return made


def _call_settings(pipe: Any, settings: Settings, size: tuple[int, int]) -> dict[str, Any]:
    """What the pipeline is called with, but for pictures and seeds."""
    taken, name = inspect.signature(pipe.__call__).parameters, type(pipe).__name__
    if "num_frames" in taken:
        raise InputError(
            f"{name} makes videos, and this command pictures; use ILVRCallback in Python."
        )
    steps, strength = _whole(settings.steps), settings.strength
    if strength is not None and not 1 <= steps * strength <= steps:
        raise InputError(
            f"--strength is {strength}; use more than 0, up to 1, and at least "
            f"{math.ceil(100 / steps) / 100:g} with {steps} steps."
        )
    arguments: dict[str, Any] = {"num_inference_steps": steps}
    for option in ("prompt", "negative_prompt", "guidance_scale", "strength"):
        value = getattr(settings, option)
        if value is None:
            continue
        if option not in taken:
            raise InputError(
                f"{name} takes no {option.replace('_', ' ')}; leave "
                f"--{option.replace('_', '-')} out."
            )
        arguments[option] = value
    if settings.prompt is None and "prompt" in taken:
        raise InputError(f"{name} draws what a text says; give it one with --prompt.")
    for side, value in zip(("width", "height"), size, strict=True):
        if side in taken:
            arguments[side] = value
    return arguments


def _check_window(pipe: Any, reference: Reference, settings: Settings) -> None:
    """Refuse a window without a step, where the scheduler tells its steps before the run."""
    from ..pipelines.calls import plan_run

    scheduler = pipe.scheduler
    if scheduler.config.get("use_dynamic_shifting", False):
        return
    steps = _whole(settings.steps)
    scheduler.set_timesteps(steps)
    order, total = getattr(scheduler, "order", 1), len(scheduler.timesteps)
    skipped = 0 if settings.strength is None else steps - int(steps * settings.strength)
    first = min(skipped * order, total - 1)
    reference.matched_steps(plan_run(scheduler, first, total - first).schedule)


def _whole(steps: str) -> int:
    if not steps.isdecimal() or int(steps) < 1:
        raise InputError(f"--steps is {steps!r}; with --pipeline, use a whole number such as 30.")
    return int(steps)


def _from_images(pipe: Any) -> Any:
    """The pipeline of the same model that starts from a picture."""
    from diffusers import AutoPipelineForImage2Image

    try:
        return AutoPipelineForImage2Image.from_pipe(pipe)
    except (ValueError, AttributeError):
        raise InputError(
            f"{type(pipe).__name__} has no form that starts from a picture; leave --strength out."
        ) from None


def _warn_of_dropped_words(pipe: Any, prompt: str, what: str) -> None:
    """Say which words no tokenizer of the pipeline has room for."""
    names = ("tokenizer", "tokenizer_2", "tokenizer_3")
    found = [getattr(pipe, name) for name in names if getattr(pipe, name, None) is not None]
    if not found:
        return
    longest = max(found, key=lambda tokenizer: tokenizer.model_max_length)
    room, tokens = longest.model_max_length, longest(prompt).input_ids
    if room > NO_LIMIT or len(tokens) <= room:
        return
    # The last place is for the end mark, which the tokens have at their own end.
    dropped = longest.decode(tokens[room - 1 : -1]).strip()
    logger.warning("The %s is longer than %d tokens; left out: %r.", what, room, dropped)
