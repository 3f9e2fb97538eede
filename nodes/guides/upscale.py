"""The node that draws a picture again, larger, by windows of its first size."""

from __future__ import annotations

import dataclasses
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import ILVR, InputError, Reference, Run, Tiles, Window
from ...ilvr_latent.guides.ilvr import ILVRRun
from ...ilvr_latent.phrases import Phrase, sentences
from ...ilvr_latent.upscaling import (
    END,
    END_WEIGHT,
    FACTOR_OF_LATENTS,
    OVERLAP,
    enlarged,
    falling,
    upscaled_side,
)
from ..driver import guided
from ..fitting import on_white, pixels_to_a_cell
from ..node import Node
from ..schema import advanced, fraction, schema
from ..tiles import tiled
from .checks import checked_samples


class ILVRUpscale(Node):
    """A large picture whose low frequencies are those of a small one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRUpscale",
            search_aliases=["tile", "hires fix", "high resolution", "MultiDiffusion", "DemoFusion"],
            display_name="ILVR Upscale",
            category="ILVR",
            description=(
                "Draws a picture again, larger: the model sees overlapping windows of the size "
                "that it knows, and the whole is held to the low frequencies of the small picture. "
                "For any sampler."
            ),
            inputs=_inputs(),
            outputs=[
                io.Model.Output(tooltip="For the sampler that draws the large picture."),
                io.Latent.Output(
                    tooltip="The enlarged picture, for the same sampler: denoise says how much of "
                    "it is drawn again."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: Any,
        image: Tensor,
        scale: float,
        factor: float,
        end_percent: float,
        weight: float,
        end_weight: float,
        overlap: float = OVERLAP,
        window: int = 0,
    ) -> io.NodeOutput:
        """Enlarge and encode the picture, and clone the MODEL.

        Raises:
            InputError: the picture or a number cannot be used, or the model samples no pictures.
        """
        cell = pixels_to_a_cell(model.get_model_object("latent_format"))
        small = on_white(image).movedim(-1, 1)
        sides = [upscaled_side(side, scale, cell) for side in small.shape[-2:]]
        tiles = _tiles(small, window, overlap, cell)
        large = enlarged(small, sides).clamp(0, 1).movedim(1, -1)
        latent = {"samples": vae.encode(large)}
        samples = checked_samples(model, latent, "picture")
        if samples.ndim != 4:
            raise InputError("ILVR Upscale draws pictures, and this model draws videos.")
        reference = Reference(
            samples,
            max(1.0, factor * scale),
            window=Window(0.0, end_percent, gate="level"),
            weight=falling(weight, end_weight),
        )
        guide = _Upscaling(reference, tiles)
        patched = guided(tiled(model, tiles), guide, getattr(cls.hidden, "unique_id", None))
        return io.NodeOutput(patched, latent)


def _tiles(small: Tensor, window: int, overlap: float, cell: int) -> Tiles:
    """In cells; the window is the small picture's own size, or a square."""
    height, width = small.shape[-2:] if window == 0 else (window, window)
    if min(height, width) < cell:
        raise InputError(
            f"A window of {width}x{height} pixels is less than a cell of this model's latent "
            f"({cell}); use the size that the model draws at its best, such as 512."
        )
    return Tiles(height // cell, width // cell, overlap)


class _Upscaling(ILVR):
    """ILVR, which says how many windows there are besides.

    Args:
        reference: the small picture, enlarged.
        tiles: that the large one is drawn by.
    """

    def __init__(self, reference: Reference, tiles: Tiles) -> None:
        super().__init__(reference)
        self._tiles = tiles

    def begin(self, run: Run) -> ILVRRun | None:
        """Begin ILVR."""
        windows = Phrase(
            "{count} windows of {width}x{height} pixels: each step takes the network {count} "
            "times.",
            count=len(self._tiles.places(run.shape)),
            width=self._tiles.width * run.cell,
            height=self._tiles.height * run.cell,
        )

        def tell(text: str) -> None:
            run.tell(sentences([windows, text]))

        return super().begin(dataclasses.replace(run, tell=tell))


def _inputs() -> list[Any]:
    """In the order of the node: a workflow's values belong to places."""
    return [
        io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
        io.Vae.Input("vae", tooltip="The VAE that belongs to the model."),
        io.Image.Input(
            "image",
            tooltip="The small picture, drawn at the size that the model is best at.",
        ),
        io.Float.Input(
            "scale",
            default=2.0,
            min=1.0,
            max=16.0,
            step=0.25,
            tooltip="How many times as wide and high. The sides are rounded to whole cells of the "
            "latent.",
        ),
        io.Float.Input(
            "factor",
            default=FACTOR_OF_LATENTS,
            min=0.0625,
            max=1024.0,
            step=0.005,  # the front end shows no more digits than a step has
            tooltip="How much is left to the model: detail smaller than this many latent cells of "
            "the small picture (8 pixels each in most models, 1 in pixel models). 1 = all that the "
            "small picture shows is kept. It grows with the scale by itself.",
        ),
        io.Float.Input(
            "end_percent",
            default=END,
            min=0.001,
            max=1.0,
            step=0.001,
            tooltip="When to stop following the small picture, in timesteps: 1 = at the end.",
        ),
        fraction(
            "weight",
            1.0,
            step=0.01,
            tooltip="How strictly the small picture is followed at first: 0 = not at all.",
        ),
        fraction(
            "end_weight",
            END_WEIGHT,
            step=0.01,
            tooltip="How strictly it is followed at the end: below weight, the model is let go "
            "little by little.",
        ),
        advanced(
            io.Float.Input(
                "overlap",
                default=OVERLAP,
                min=0.0,
                max=0.95,
                step=0.05,
                optional=True,
                tooltip="The least share of a window that lies on the next one. 0 takes the fewest "
                "windows, and leaves seams.",
            )
        ),
        advanced(
            io.Int.Input(
                "window",
                default=0,
                min=0,
                max=16384,
                step=8,
                optional=True,
                tooltip="The side of a square window in pixels. 0 = the small picture's own size. "
                "Give it where the picture is larger than the model is used to.",
            )
        ),
    ]
