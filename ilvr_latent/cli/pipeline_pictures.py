"""``ilvr sample --pipeline``: pictures from a diffusers pipeline on this machine."""

from __future__ import annotations

import argparse
import inspect
import logging
import sys
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..images import to_images
from ..reference import Reference
from ..weight import WeightSchedule
from ..window import Window
from .common import Advance, choose_dtype, quiet_diffusers

logger = logging.getLogger(__name__)

# Tokenizers without a limit name a number like 1e30.
NO_LIMIT = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that belong to ``--pipeline``."""
    add = parser.add_argument_group("with --pipeline").add_argument
    pipeline_help = (
        "a diffusers folder, a single-file checkpoint, or 'embedded'; N counts its latent cells"
    )
    add("--pipeline", metavar="PATH", help=pipeline_help)
    add("--prompt", metavar="TEXT")
    add("--negative-prompt", metavar="TEXT")
    add("--guidance-scale", type=float, metavar="G", help="by default the pipeline's own")
    add("--strength", type=float, help="start from the reference, noised: 0 (as it is) to 1")
    add("--scheduler", metavar="NAME", help="such as DPMSolverMultistep; default: the pipeline's")
    add("--lora", metavar="PATH", help="a LoRA file for this model")
    add("--height", type=int, metavar="PIXELS")
    add("--width", type=int, metavar="PIXELS")


OPTIONS = (
    *("prompt", "negative_prompt", "guidance_scale", "strength"),
    *("scheduler", "lora", "height", "width"),
)


class PipelinePictures:
    """Pictures from a diffusers pipeline; see :class:`.pictures.PictureMaker`."""

    calls = 1

    def __init__(
        self,
        options: argparse.Namespace,
        window: Window,
        weight: float | WeightSchedule,
        device: torch.device,
    ) -> None:
        steps = _whole(options.steps)
        if options.strength is not None and not 0 < options.strength <= 1:
            raise InputError(f"--strength is {options.strength}; use more than 0, up to 1.")
        quiet_diffusers()
        from ..pipelines import default_size
        from ..pipelines.load import add_lora, exchange_scheduler, load_pipeline

        pipe = load_pipeline(
            options.pipeline, device=device, dtype=choose_dtype(options.dtype, device)
        )
        if options.scheduler is not None:
            exchange_scheduler(pipe, options.scheduler)
        if options.lora is not None:
            add_lora(pipe, options.lora)
        height, width = options.height, options.width
        if height is None or width is None:
            own = default_size(pipe)
            height, width = height or own[0], width or own[1]
        self.size = width, height
        self.cell = int(getattr(pipe, "vae_scale_factor", 8))
        self._pipe = pipe if options.strength is None else _from_images(pipe)
        self._pipe.set_progress_bar_config(disable=not sys.stderr.isatty(), leave=False)
        self._options, self._steps = options, steps
        self._window, self._weight = window, weight
        self._taken = inspect.signature(self._pipe.__call__).parameters
        self._settings = self._checked_settings()

    def _checked_settings(self) -> dict[str, Any]:
        """What the pipeline is called with, but for pictures and seeds."""
        options, name = self._options, type(self._pipe).__name__
        if "num_frames" in self._taken:
            raise InputError(
                f"{name} makes videos, and this command pictures; use ILVRCallback in Python."
            )
        settings: dict[str, Any] = {"num_inference_steps": self._steps}
        for option in ("prompt", "negative_prompt", "guidance_scale", "strength"):
            value = getattr(options, option)
            if value is None:
                continue
            if option not in self._taken:
                raise InputError(
                    f"{name} takes no {option.replace('_', ' ')}; leave "
                    f"--{option.replace('_', '-')} out."
                )
            settings[option] = value
        if options.prompt is None and "prompt" in self._taken:
            raise InputError(f"{name} draws what a text says; give it one with --prompt.")
        for side, value in zip(("width", "height"), self.size, strict=True):
            if side in self._taken:
                settings[side] = value
        for option in ("prompt", "negative_prompt"):
            if settings.get(option):
                _warn_of_dropped_words(self._pipe, settings[option], option.replace("_", " "))
        return settings

    def check(self, references: Tensor, factor: float) -> None:
        """See :class:`.pictures.PictureMaker`."""
        self._callback(references[:1], factor, [0])

    def _callback(self, references: Tensor, factor: float, seeds: Sequence[int]) -> Any:
        from ..pipelines import ILVRCallback, encode_reference

        options = self._options
        reference = Reference(
            encode_reference(self._pipe, references),
            factor,
            window=self._window,
            weight=self._weight,
            kernel=options.kernel,
        )
        return ILVRCallback(self._pipe, reference, space=options.space, seed=seeds)

    def make(
        self, references: Tensor, factor: float, seeds: Sequence[int], advance: Advance
    ) -> list[Image.Image]:
        """See :class:`.pictures.PictureMaker`."""
        settings: dict[str, Any] = dict(self._settings)
        for option in ("prompt", "negative_prompt"):
            if option in settings:
                settings[option] = [settings[option]] * len(seeds)
        if self._options.strength is not None:
            settings["image"] = to_images(references)
        # On the CPU, as diffusers advises: the same picture on every device.
        settings["generator"] = [torch.Generator().manual_seed(seed) for seed in seeds]
        with self._callback(references, factor, seeds):
            made: list[Image.Image] = self._pipe(**settings).images
        advance()
        return made


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
