"""The options that say how pictures are made: one table, which is a frozen object once parsed.

Each is written once, as a field of :class:`Options`. The parser, the axes of ``ilvr grid``, the
refusal of options of another kind of model, and what is written into pictures and reports come from
the fields; :mod:`.settings` says what they mean. A new option is a new field and its use. Those of
the other methods stand in :mod:`.options_of_methods`.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .. import defaults
from ..defaults import ReferenceNoise, SamplerName
from ..diffusion.loops import LOOPS
from ..diffusion.predictor_corrector import PREDICTORS
from ..diffusion.reverse import Variance
from ..diffusion.samplers import SAMPLERS
from ..guides.lowpass import Kernel
from ..guides.reference import Space
from ..guides.style import STYLE_FACTOR
from ..pictures.axis import Reader, one_of
from ..pictures.images import Fit
from .common import DTYPES
from .option import Option, option
from .options_of_methods import OptionsOfMethods

INPAINTING, WITH_PIPELINE = "inpainting", "with --pipeline"
_STYLE: dict[str, Any] = {"group": "style of a second picture", "written": True, "own": True}
AUTO = "auto"


_CHECKPOINT: dict[str, Any] = {"kind": "checkpoint", "written": True}
_PIPELINE: dict[str, Any] = {"kind": "pipeline", "group": WITH_PIPELINE, "written": True}


@dataclass(frozen=True)
class Options(OptionsOfMethods):
    """The table; a field is the option of the same name, as it was typed."""

    factor: float = dataclasses.field(default=defaults.NODE_FACTOR)
    model: str | None = option(
        None, "'embedded' (default) or a guided-diffusion checkpoint", **_CHECKPOINT
    )
    flag: tuple[str, ...] = option(
        (),
        "a flag the checkpoint can't tell, such as num_head_channels=64; may be repeated",
        action="append",
        metavar="NAME=VALUE",
        **_CHECKPOINT,
    )
    fit: Fit = option(
        "crop", "how a reference fills the frame", choices=get_args(Fit), written=True
    )
    kernel: Kernel = option(
        defaults.KERNEL,
        "of the low-pass filter",
        choices=get_args(Kernel),
        axis=True,
        written=True,
        own=True,
    )
    weight: str = option(
        "1",
        "0 (off) to 1 (the paper), or points over the window: 0:1,0.5:0.8,1:0",
        axis=True,
        own=True,
    )
    start: float | None = option(
        None,
        "where matching starts, 0 (default) = noisiest",
        read=float,
        axis=True,
        own=True,
    )
    end: float | None = option(
        None,
        "where it ends, 1 (default) = the finished picture",
        read=float,
        axis=True,
        own=True,
    )
    timestep_range: tuple[int, int] | None = option(
        None,
        "the window in timesteps, as the paper says it: 1000 200",
        read=int,
        group="window",
        nargs=2,
        metavar=("HI", "LO"),
        own=True,
    )
    step_range: tuple[int, int] | None = option(
        None,
        "the window in sampling steps, from 0",
        read=int,
        group="window",
        nargs=2,
        metavar=("FIRST", "LAST"),
        own=True,
    )
    steps: str = option(
        defaults.COMMAND_STEPS,
        "network calls: 50, early20, ddim25, or 10,10,5",
        axis=True,
        written=True,
    )
    sampler: Literal["auto"] | SamplerName = option(
        AUTO,
        f"auto: from {defaults.FEW_STEPS} steps on ddpm (the paper); below, "
        f"{defaults.SAMPLER_OF_FEW_STEPS} with hybrid noise and --steps "
        f"{defaults.EARLY}N, which is better there; dpmpp_2m, "
        "unipc: solvers of second order; pc: predictor and corrector; ode: probability flow, six "
        "calls a step; cold: cold diffusion",
        choices=(AUTO, *SAMPLERS, *LOOPS),
        axis=True,
        **_CHECKPOINT,
    )
    eta: float | None = option(
        None, "noise of ddim, 0 to 1 (default)", read=float, axis=True, **_CHECKPOINT
    )
    variance: Literal["auto"] | Variance = option(
        AUTO,
        "of ddpm; auto: learned if it can",
        choices=(AUTO, *get_args(Variance)),
        axis=True,
        **_CHECKPOINT,
    )
    predictor: str | None = option(
        None, "of pc (ancestral)", choices=PREDICTORS, axis=True, **_CHECKPOINT
    )
    corrector_steps: int | None = option(
        None,
        "of pc: corrections at each level (1)",
        read=int,
        metavar="K",
        axis=True,
        **_CHECKPOINT,
    )
    snr: float | None = option(
        None, "of pc: size of a correction (0.16)", read=float, axis=True, **_CHECKPOINT
    )
    tolerance: float | None = option(
        None, "of ode: error of a step; by default one step a level", read=float, **_CHECKPOINT
    )
    space: Space = option(
        defaults.SPACE,
        "what is matched",
        choices=get_args(Space),
        axis=True,
        written=True,
        own=True,
    )
    band: Literal["coarse", "fine"] = option(
        "coarse",
        "what of the reference is held; fine: its details, and the layout is free",
        choices=("coarse", "fine"),
        axis=True,
        written=True,
        own=True,
    )
    reference_noise: Literal["auto"] | ReferenceNoise = option(
        AUTO,
        "of the reference; auto: fresh (the paper), or hybrid (--pipeline, few steps)",
        choices=(AUTO, *get_args(ReferenceNoise)),
        axis=True,
        written=True,
        own=True,
    )
    strength: float | None = option(
        None,
        "start from the reference, noised: 0 (as it is) to 1; of sdedit and egsde 0.5",
        read=float,
        axis=True,
        written=True,
    )
    batch_size: int | None = option(
        None,
        "pictures at a time (16, or as many as half of the free memory holds)",
        read=int,
        metavar="B",
    )
    class_label: int | None = option(
        None,
        "for class-conditional models",
        read=int,
        axis=True,
        **_CHECKPOINT,
        own=True,
    )
    perturbed_attention: float = option(
        0.0,
        "guidance by perturbed attention, 0 (off) to 100; 2 makes whole, smooth objects, in calls "
        "1.6 to 2 times as long",
        read=float,
        metavar="S",
        axis=True,
        **_CHECKPOINT,
    )
    device: str = option(AUTO, "auto, cpu, cuda, cuda:1, mps")
    dtype: str = option(AUTO, choices=(AUTO, *DTYPES))
    json: bool = option(False, "print one JSON object", action="store_true")
    mask: str | None = option(
        None,
        "a picture: white follows the reference, black is free, grey in part; fitted alike",
        group=INPAINTING,
        metavar="PATH",
        written=True,
    )
    jump_length: int | None = option(
        None,
        "RePaint's jumps: go back so many steps (10) and sample them again",
        read=int,
        kind="checkpoint",
        group=INPAINTING,
        metavar="J",
        axis=True,
    )
    jump_n_sample: int | None = option(
        None,
        "and take them so often in all (10); 1, or neither option, is without jumps",
        read=int,
        kind="checkpoint",
        group=INPAINTING,
        metavar="R",
        axis=True,
    )
    style: str | None = option(
        None,
        "a picture whose colours and textures are taken over, whatever their places",
        metavar="PATH",
        **_STYLE,
    )
    style_weight: float = option(1.0, "0 (off) to 1", read=float, metavar="W", axis=True, **_STYLE)
    style_factor: float = option(
        STYLE_FACTOR,
        "the largest detail that is style, as a share of the side",
        read=float,
        metavar="SHARE",
        axis=True,
        **_STYLE,
    )
    pipeline: str | None = option(
        None,
        "a diffusers folder, a single-file checkpoint, or 'embedded'; N counts its latent cells",
        group=WITH_PIPELINE,
        metavar="PATH",
    )
    prompt: str | None = option(None, metavar="TEXT", axis=True, own=True, **_PIPELINE)
    negative_prompt: str | None = option(None, metavar="TEXT", axis=True, own=True, **_PIPELINE)
    guidance_scale: float | None = option(
        None, "by default the pipeline's own", read=float, metavar="G", axis=True, **_PIPELINE
    )
    scheduler: str | None = option(
        None,
        "such as DPMSolverMultistep; default: the pipeline's",
        metavar="NAME",
        axis=True,
        **_PIPELINE,
    )
    lora: str | None = option(None, "a LoRA file for this model", metavar="PATH", **_PIPELINE)
    height: int | None = option(None, read=int, metavar="PIXELS", **_PIPELINE)
    width: int | None = option(None, read=int, metavar="PIXELS", **_PIPELINE)


def table() -> Iterator[tuple[str, Option]]:
    """Name and option of each entry, in the order of the help text."""
    for field in dataclasses.fields(Options):
        if "option" in field.metadata:
            yield field.name, field.metadata["option"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the whole table to a command."""
    defaults_of = {field.name: field.default for field in dataclasses.fields(Options)}
    groups: dict[str, Any] = {"": parser, "window": parser.add_mutually_exclusive_group()}
    for name, entry in table():
        if entry.group not in groups:
            groups[entry.group] = parser.add_argument_group(entry.group)
        default = defaults_of[name]
        entry.add_to(groups[entry.group], name, [] if default == () else default)


def axes() -> dict[str, Reader]:
    """What may vary over a grid, and how a value of it is read: as the option of that name."""
    readers: dict[str, Reader] = {"factor": float, "similarity": float, "seed": int}
    for name, entry in table():
        if entry.axis:
            choices = entry.choices
            readers[name] = entry.read if choices is None else one_of(name, choices)
    return readers
