"""The node that samples one reference over two axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from ...ilvr_latent.diffusion.noise import ReferenceNoise
from ...ilvr_latent.guides.lowpass import Kernel
from ...ilvr_latent.guides.reference import Space
from ...ilvr_latent.pictures.axis import Axis, Reader, check_apart, number, one_of, parse_axis
from ...ilvr_latent.pictures.images import to_images
from ...ilvr_latent.pictures.sheet import grid_sheet
from ..fitting import fit_latent
from ..guides.ilvr import ILVRApply
from ..guides.similarity import ILVRSimilarity, check_beside_similarity
from ..node import Node
from ..schema import fraction, schema
from .report import to_image

LARGEST_SEED = 2**64 - 1
# Inputs of ILVR Apply; all but the first and the mask may be an axis.
OF_APPLY = ("reference", "factor", "start_percent", "end_percent", "weight")
OPTIONAL_OF_APPLY = ("mask", "space", "noise", "kernel")
AXIS_TOOLTIP = (
    "A setting and its values: 'factor: 2, 4, 8'. Any of factor, start_percent, end_percent, "
    "weight, similarity, seed, steps, cfg, sampler_name, scheduler, denoise, space, noise, kernel."
)


def readers() -> dict[str, Reader]:
    """What may be an axis, and how its values are read."""
    kinds: dict[str, Reader] = {
        "factor": number("factor", float, 1, 1024),
        "similarity": number("similarity", float, 0, 100),
        **{n: number(n, float, 0, 1) for n in ("start_percent", "end_percent", "weight")},
        "seed": number("seed", int, 0, LARGEST_SEED),
        "steps": number("steps", int, 1, 10000),
        "cfg": number("cfg", float, 0, 100),
        "denoise": number("denoise", float, 0, 1),
    }
    choices: dict[str, tuple[str, ...]] = {
        "sampler_name": tuple(comfy.samplers.KSampler.SAMPLERS),
        "scheduler": tuple(comfy.samplers.KSampler.SCHEDULERS),
        "space": get_args(Space),
        "noise": get_args(ReferenceNoise),
        "kernel": get_args(Kernel),
    }
    return kinds | {name: one_of(name, options) for name, options in choices.items()}


class ILVRGrid(Node):
    """ILVR Apply and the KSampler over two axes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        given = {each.id: each for each in ILVRApply.define_schema().inputs}
        return schema(
            node_id="ILVRGrid",
            search_aliases=["xy plot", "sweep", "compare", "contact sheet"],
            display_name="ILVR Grid",
            category="ILVR",
            description=(
                "Samples one reference over any two settings and puts the pictures on a labelled "
                "sheet: ILVR Apply and the KSampler in one, over and over."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model to sample from, without ILVR Apply."),
                io.Conditioning.Input("positive", tooltip="What is wanted, as in the KSampler."),
                io.Conditioning.Input("negative", tooltip="What is not, as in the KSampler."),
                io.Latent.Input(
                    "latent_image",
                    tooltip="What the sampler begins with, as in the KSampler; of a batch, the "
                    "first one. Each cell begins with the same.",
                ),
                io.Vae.Input("vae", tooltip="Decodes the samples."),
                *(given[name] for name in OF_APPLY),
                io.String.Input("rows", default="factor: 2, 4, 8", tooltip=AXIS_TOOLTIP),
                io.String.Input(
                    "columns",
                    default="end_percent: 0.4, 0.7, 1",
                    tooltip="As rows, for another setting; either may be left empty. An axis "
                    "takes the place of the input of the same name.",
                ),
                *_sampler_inputs(),
                io.Int.Input(
                    "cell_size",
                    default=256,
                    min=64,
                    max=2048,
                    optional=True,
                    tooltip="Height and width in pixels of a place on the sheet. Larger pictures "
                    "are shrunk; the output pictures has them as they are.",
                ),
                *(given[name] for name in OPTIONAL_OF_APPLY),
            ],
            outputs=[
                io.Image.Output(display_name="sheet", tooltip="All pictures, labelled."),
                io.Image.Output(
                    display_name="pictures", tooltip="One by one, row by row, without labels."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        positive: Any,
        negative: Any,
        latent_image: dict[str, Any],
        vae: Any,
        reference: dict[str, Any],
        rows: str,
        columns: str,
        cell_size: int = 256,
        mask: Tensor | None = None,
        **settings: Any,
    ) -> io.NodeOutput:
        """Check every cell, sample them one after the other, and lay them out.

        Raises:
            InputError: an axis cannot be read, or a setting of a cell cannot be used.
        """
        down, across = (parse_axis(text, readers()) for text in (rows, columns))
        check_apart(down, across)
        check_beside_similarity((down.name, across.name), (*OF_APPLY, *OPTIONAL_OF_APPLY), mask)
        cells = [_cell(model, reference, mask, own) for own in _varied(settings, down, across)]
        start = _Start(positive, negative, _first(latent_image))
        pictures = torch.cat([_decoded(vae, x) for x in _sampled(cells, start)])
        shape = comfy.sample.fix_empty_latent_channels(model, start.latent["samples"]).shape
        shown = _pictures(_decoded(vae, fit_latent(reference["samples"][:1], (1, *shape[1:]))))
        made = _pictures(pictures)
        lines = [made[k : k + len(across)] for k in range(0, len(made), len(across))]
        leading = {"reference": [*shown, *[None] * (len(down) - 1)]}
        sheet = grid_sheet(down, across, lines, leading, cell=cell_size)
        return io.NodeOutput(to_image(sheet), pictures)


def _sampler_inputs() -> list[Any]:
    """Those of the KSampler."""
    return [
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=LARGEST_SEED,
            control_after_generate=True,
            tooltip="Of the noise; the same for every cell, unless it is an axis.",
        ),
        io.Int.Input("steps", default=20, min=1, max=10000, tooltip="Of the sampler."),
        io.Float.Input(
            "cfg",
            default=7.0,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="How strictly the prompt is followed; 1 for models without prompt.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=list(comfy.samplers.KSampler.SAMPLERS),
            default="euler",
            tooltip="As in the KSampler.",
        ),
        io.Combo.Input(
            "scheduler",
            options=list(comfy.samplers.KSampler.SCHEDULERS),
            default="normal",
            tooltip="As in the KSampler.",
        ),
        fraction(
            "denoise",
            1.0,
            step=0.01,
            tooltip="How much of latent_image is drawn anew: 1 = all of it.",
        ),
    ]


@dataclass(frozen=True)
class _Cell:
    """One picture to make: a MODEL that follows the reference, and the KSampler's widgets."""

    model: ModelPatcher
    sampler: dict[str, Any]


@dataclass(frozen=True)
class _Start:
    """What every cell begins with."""

    positive: Any
    negative: Any
    latent: dict[str, Any]


def _varied(settings: dict[str, Any], down: Axis, across: Axis) -> Iterator[dict[str, Any]]:
    for row, column in itertools.product(range(len(down)), range(len(across))):
        yield settings | down.changes(row) | across.changes(column)


def _cell(
    model: ModelPatcher, reference: dict[str, Any], mask: Tensor | None, own: dict[str, Any]
) -> _Cell:
    of_apply = {name: own.pop(name) for name in (*OF_APPLY, *OPTIONAL_OF_APPLY) if name in own}
    if "similarity" in own:
        applied = ILVRSimilarity.execute(model, reference, own.pop("similarity"))
    else:
        applied = ILVRApply.execute(model, reference, mask=mask, **of_apply)
    return _Cell(applied.args[0], own)


def _first(latent: dict[str, Any]) -> dict[str, Any]:
    """The first of a batch of latents."""
    one = {"samples": latent["samples"][:1]}
    if latent.get("noise_mask") is not None:
        # Of a video, the masks are its frames.
        frames = latent["samples"].ndim == 5
        one["noise_mask"] = latent["noise_mask"] if frames else latent["noise_mask"][:1]
    if latent.get("batch_index") is not None:
        one["batch_index"] = latent["batch_index"][:1]
    return one


def _sampled(cells: list[_Cell], start: _Start) -> Iterator[Tensor]:
    """The latent of each cell; one progress bar for all of them."""
    total = sum(cell.sampler["steps"] for cell in cells)
    show = latent_preview.prepare_callback(cells[0].model, total)
    done = 0
    for cell in cells:
        comfy.model_management.throw_exception_if_processing_interrupted()
        yield _ksampler(cell, start, _moved_on(show, done, total))
        done += cell.sampler["steps"]


def _moved_on(show: Callable[..., None], done: int, total: int) -> Callable[..., None]:
    """A callback that counts on from the steps of the cells before."""
    return lambda step, x_0, x, steps: show(done + step, x_0, x, total)


def _ksampler(cell: _Cell, start: _Start, callback: Callable[..., None]) -> Tensor:
    """The node KSampler, but for its progress bar."""
    own = cell.sampler
    latent = comfy.sample.fix_empty_latent_channels(cell.model, start.latent["samples"])
    return comfy.sample.sample(
        cell.model,
        comfy.sample.prepare_noise(latent, own["seed"], start.latent.get("batch_index")),
        own["steps"],
        own["cfg"],
        own["sampler_name"],
        own["scheduler"],
        start.positive,
        start.negative,
        latent,
        denoise=own["denoise"],
        noise_mask=start.latent.get("noise_mask"),
        callback=callback,
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=own["seed"],
    )


def _decoded(vae: Any, latent: Tensor) -> Tensor:
    """(1, H, W, 3) in [0, 1]; of a video, its first frame."""
    image: Tensor = vae.decode(latent)
    return image.reshape(-1, *image.shape[-3:])[:1]


def _pictures(image: Tensor) -> list[Image.Image]:
    return to_images(image.movedim(-1, 1) * 2 - 1)
