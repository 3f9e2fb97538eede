"""Options that several commands share, and the settings that they stand for."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from .. import __version__
from ..diffusion.noise import ReferenceNoise
from ..diffusion.resampling import Resampling
from ..diffusion.reverse import Variance
from ..errors import InputError
from ..guides.ilvr import Space
from ..guides.lowpass import Kernel
from ..guides.reference import Reference
from ..guides.weight import Weight, parse_weight
from ..guides.window import Window
from ..pictures.images import Fit
from ..recipes import Recipe
from .common import DTYPES

Sampler = Literal["ddpm", "ddim"]
# From so many on, DDPM is as good as with 250; with fewer, DDIM is nearer to that (docs/steps.md).
FEW_STEPS = 50
# Options of one kind of model; those of the other refuse them.
PIPELINE_OPTIONS = (
    *("prompt", "negative_prompt", "guidance_scale", "strength"),
    *("scheduler", "lora", "height", "width"),
)
ADM_DEFAULTS: dict[str, object] = {
    "model": None, "flag": [], "class_label": None, "variance": "auto", "sampler": "auto",
    "jump_length": None, "jump_n_sample": None,
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, how it samples, and how a reference is matched."""
    add = parser.add_argument
    add("--model", help="'embedded' (default) or a guided-diffusion checkpoint")
    flag_help = "a flag the checkpoint can't tell, such as num_head_channels=64; may be repeated"
    add("--flag", action="append", default=[], metavar="NAME=VALUE", help=flag_help)
    add("--fit", choices=get_args(Fit), default="crop", help="how a reference fills the frame")
    add("--kernel", choices=get_args(Kernel), default="cubic", help="of the low-pass filter")
    weight_help = "0 (off) to 1 (the paper), or points over the window: 0:1,0.5:0.8,1:0"
    add("--weight", default="1", help=weight_help)
    add("--start", type=float, help="where matching starts, 0 (default) = noisiest")
    add("--end", type=float, help="where it ends, 1 (default) = the finished picture")
    window = parser.add_mutually_exclusive_group()
    timestep_help = "the window in timesteps, as the paper says it: 1000 200"
    window.add_argument(
        "--timestep-range", nargs=2, type=int, metavar=("HI", "LO"), help=timestep_help
    )
    step_help = "the window in sampling steps, from 0"
    window.add_argument(
        "--step-range", nargs=2, type=int, metavar=("FIRST", "LAST"), help=step_help
    )
    add("--steps", default="50", help="network calls: 50, ddim25, or 10,10,5")
    sampler_help = (
        f"auto: from {FEW_STEPS} steps on ddpm (the paper); below, ddim with eta 0 and hybrid "
        "noise, which are better there"
    )
    add("--sampler", choices=("auto", *get_args(Sampler)), default="auto", help=sampler_help)
    add("--eta", type=float, help="noise of ddim, 0 to 1 (default)")
    variances = ("auto", *get_args(Variance))
    add("--variance", choices=variances, default="auto", help="of ddpm; auto: learned if it can")
    add("--space", choices=get_args(Space), default="state", help="what is matched")
    noise_help = "of the reference; auto: fresh (the paper), or hybrid (--pipeline, few steps)"
    noises = ("auto", *get_args(ReferenceNoise))
    add("--reference-noise", choices=noises, default="auto", help=noise_help)
    add("--batch-size", type=int, default=8, metavar="B", help="pictures at a time")
    add("--class-label", type=int, help="for class-conditional models")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add("--dtype", choices=("auto", *DTYPES), default="auto")
    add("--json", action="store_true", help="print one JSON object")
    _add_inpainting_arguments(parser)
    _add_pipeline_arguments(parser)


def _add_inpainting_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("inpainting").add_argument
    mask_help = "a picture: white follows the reference, black is free, grey in part; fitted alike"
    add("--mask", metavar="PATH", help=mask_help)
    length_help = "RePaint's jumps: go back so many steps (10) and sample them again"
    add("--jump-length", type=int, metavar="J", help=length_help)
    times_help = "and take them so often in all (10); 1, or neither option, is without jumps"
    add("--jump-n-sample", type=int, metavar="R", help=times_help)


def _add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
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


def check_kind(options: argparse.Namespace) -> None:
    """Refuse options of one kind of model together with the other.

    Raises:
        InputError: there is one.
    """
    given = [name for name in PIPELINE_OPTIONS if getattr(options, name) is not None]
    if options.pipeline is None and given:
        raise InputError(f"--{given[0].replace('_', '-')} belongs to --pipeline; give one.")
    changed = [name for name, default in ADM_DEFAULTS.items() if getattr(options, name) != default]
    if options.pipeline is not None and changed:
        option = f"--{changed[0].replace('_', '-')}"
        raise InputError(
            f"{option} is for guided-diffusion checkpoints and --pipeline is another model; "
            "leave one of them out."
        )


def take_range(recipe: Recipe, options: argparse.Namespace) -> None:
    """Take the range from a recipe, unless one was given.

    Raises:
        InputError: the recipe needs a mask and there is none.
    """
    if recipe.masked and options.mask is None:
        raise InputError(
            f"The recipe {recipe.name!r} needs to know what is kept; give it with --mask."
        )
    given = ("start", "end", "timestep_range", "step_range")
    if all(getattr(options, name) is None for name in given):
        options.start, options.end = recipe.window.start, recipe.window.end


def check_counts(options: argparse.Namespace, *names: str) -> None:
    """Refuse counts below 1.

    Raises:
        InputError: there is one.
    """
    for name in names:
        if getattr(options, name) < 1:
            flag = name.replace("_", "-")
            raise InputError(f"--{flag} is {getattr(options, name)}; use 1 or more.")


def chosen_window(options: argparse.Namespace) -> Window:
    """The window, in whichever unit it was given.

    Raises:
        InputError: it was given in two, or is empty.
    """
    fraction = {n: getattr(options, n) for n in ("start", "end") if getattr(options, n) is not None}
    other = "timestep-range" if options.timestep_range is not None else "step-range"
    if fraction and (options.timestep_range or options.step_range):
        raise InputError(
            f"--{next(iter(fraction))} and --{other} both say when to match; leave one of them out."
        )
    if options.timestep_range is not None:
        return Window.timesteps(*options.timestep_range)
    if options.step_range is not None:
        return Window.steps(*options.step_range)
    return Window(**fraction)


def chosen_resampling(options: argparse.Namespace) -> Resampling | None:
    """RePaint's jumps; what is not given of them is as in the paper.

    Raises:
        InputError: a number is below 1.
    """
    names = ("jump_length", "jump_n_sample")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return Resampling(**given) if given else None


@dataclass(frozen=True)
class Settings:
    """How one picture is made, but for the reference and the seed: equal ones share a batch.

    Attributes are the options of the same name; ``None`` leaves a choice to the model.
    """

    factor: float
    window: Window
    weight: Weight
    kernel: Kernel
    space: Space
    reference_noise: ReferenceNoise | None
    steps: str
    sampler: Sampler | None
    eta: float | None
    variance: Variance | None
    class_label: int | None
    prompt: str | None
    negative_prompt: str | None
    guidance_scale: float | None
    strength: float | None
    scheduler: str | None
    resampling: Resampling | None

    @classmethod
    def of(cls, options: argparse.Namespace, factor: float) -> Settings:
        """What the options say.

        Raises:
            InputError: an option cannot be used, or not with another.
        """
        check_kind(options)
        as_given: dict[str, Any] = {
            field.name: getattr(options, field.name, None) for field in _FIELDS
        }
        automatic = {name for name, value in as_given.items() if value == "auto"}
        read: dict[str, Any] = {
            "factor": factor,
            "window": chosen_window(options),
            "weight": parse_weight(options.weight),
            "resampling": chosen_resampling(options),
        }
        return cls(**as_given | dict.fromkeys(automatic) | read)

    def reverse(self, steps: int) -> tuple[Sampler, float, ReferenceNoise]:
        """Sampler, eta and noise of the reference, where they were left open: by docs/steps.md.

        Args:
            steps: of the schedule.
        """
        # These say which sampler is meant.
        few = steps < FEW_STEPS and self.variance is None
        quick = self.sampler is None and (few or self.eta is not None)
        eta = (0.0 if quick else 1.0) if self.eta is None else self.eta
        noise = self.reference_noise or ("hybrid" if quick else "fresh")
        return self.sampler or ("ddim" if quick else "ddpm"), eta, noise

    def reference(self, image: Tensor, mask: Tensor | None) -> Reference:
        """A picture or latent (B, C, H, W), matched as these settings say.

        Raises:
            InputError: the factor or the weight cannot be used, or the mask is black.
        """
        return Reference(
            image,
            self.factor,
            window=self.window,
            weight=self.weight,
            mask=mask,
            kernel=self.kernel,
        )


_FIELDS = dataclasses.fields(Settings)


def written(options: argparse.Namespace) -> dict[str, object]:
    """What is written into a picture of how it was made, but for reference, factor and seed."""
    kept = ["fit", "mask", "kernel", "steps", "space", "reference_noise"]
    if options.pipeline is None:
        kept += ["model", "flag", "sampler", "eta", "variance", "class_label"]
    else:
        kept += ["pipeline", *PIPELINE_OPTIONS]
    weight, resampling = parse_weight(options.weight), chosen_resampling(options)
    return {
        "ilvr": __version__,
        **{name: getattr(options, name) for name in kept},
        "weight": weight if isinstance(weight, float) else str(weight),
        "window": {n: getattr(chosen_window(options), n) for n in ("start", "end", "unit")},
        **({} if resampling is None else dataclasses.asdict(resampling)),
    }
