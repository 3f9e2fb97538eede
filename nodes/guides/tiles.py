"""The node that puts ILVR on a MODEL which other nodes sample crop by crop."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import ILVR, InputError, Reference, Run, Window
from ...ilvr_latent.diffusion.guide import GuideRun
from ...ilvr_latent.guides.crops import Found, find_crop
from ...ilvr_latent.phrases import Phrase, joined, sentences
from ...ilvr_latent.upscaling import END_WEIGHT, falling
from ..driver import guided
from ..fitting import fit_latent
from ..node import Node
from ..run import HostRun
from ..schema import fraction, schema
from .checks import checked_samples

# Beyond it, what was found is another place: tiles that were encoded by themselves lie at most 0.3
# from the whole (FLUX.2's tiny autoencoder and the demo's), those of another picture 0.55 and more.
TOO_FAR_APART = 0.5


class ILVRApplyTiles(Node):
    """Hold each tile of a picture to its own part of a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRApplyTiles",
            search_aliases=["tile", "Ultimate SD Upscale", "upscale", "crop"],
            display_name="ILVR Apply to Tiles",
            category="ILVR",
            description=(
                "For nodes that redraw a large picture crop by crop, such as Ultimate SD Upscale: "
                "each crop is held to its own part of the reference, where ILVR Apply would show "
                "every crop the whole. Without a reference, each crop is held to what it begins "
                "with."
            ),
            inputs=_inputs(),
            outputs=[io.Model.Output(tooltip="The model, for the node that redraws the tiles.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        factor: float,
        start_percent: float,
        end_percent: float,
        weight: float,
        end_weight: float,
        picture: dict[str, Any] | None = None,
        reference: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: a latent or a number cannot be used, or a reference has no picture.
        """
        if not start_percent < end_percent:
            raise InputError(
                f"start_percent is {start_percent:g} and end_percent {end_percent:g}, so no step "
                "would be matched; make start_percent the smaller one."
            )
        if reference is not None and picture is None:
            raise InputError(
                "A tile is looked for in the picture that is redrawn, and none is plugged in; "
                "give its LATENT to the input picture."
            )
        whole = None if picture is None else _image(model, picture, "picture")
        followed = whole if reference is None else _image(model, reference, "reference")
        if whole is not None and followed is not None:
            followed = fit_latent(followed, (1, *whole.shape[1:]))
        settings = Reference(
            # What is followed is known when a tile comes.
            torch.zeros(1, 1, 1, 1),
            factor,
            window=Window(start_percent, end_percent, gate="level"),
            weight=falling(weight, end_weight),
        )
        guide = TileILVR(settings, whole, followed)
        return io.NodeOutput(guided(model, guide, getattr(cls.hidden, "unique_id", None)))


@dataclass(frozen=True, eq=False)
class TileILVR:
    """ILVR with the part of the reference that lies under the tile which a run samples.

    Args:
        settings: of the reference, whose image is not looked at.
        whole: the latent of the picture that the tiles are cut from, (1, C, H, W) as a VAE gives
            it; ``None``: each tile follows what it begins with.
        followed: the whole reference, likewise.
    """

    settings: Reference
    whole: Tensor | None
    followed: Tensor | None

    def begin(self, run: Run) -> GuideRun | None:
        """Find the tile and begin ILVR.

        Raises:
            InputError: the run begins with no picture, or with none of the whole.
        """
        if not self.settings.weight:
            return None
        assert isinstance(run, HostRun)
        start = _start(run)
        parts, said = self._parts(start)

        def tell(text: str) -> None:
            run.tell(sentences([said, text]))

        guide = ILVR(dataclasses.replace(self.settings, image=parts))
        # The parts are those of the rows, in their order, whichever pictures of a batch these are.
        return guide.begin(dataclasses.replace(run, tell=tell, rows=None))

    def _parts(self, start: Tensor) -> tuple[Tensor, Phrase]:
        if self.whole is None or self.followed is None:
            return start, Phrase("Each tile follows what it begins with.")
        height, width = start.shape[-2:]
        found = [_found(tile, self.whole[0]) for tile in start]
        parts = [
            self.followed[..., one.top : one.top + height, one.left : one.left + width]
            for one in found
        ]
        # The rows of a batch that lie at one place are one tile.
        places = dict.fromkeys(f"{one.left}, {one.top}" for one in found)
        return torch.cat(parts), Phrase(
            "A tile of {width}x{height} cells at {places} of the picture.",
            width=width,
            height=height,
            places=joined(list(places)),
        )


def _start(run: HostRun) -> Tensor:
    """What the run begins with, as a VAE gives it."""
    if run.start is None or not bool(run.start.any()) or run.start.ndim != 4:
        raise InputError(
            "The sampler begins with an empty latent, so it cannot be known which tile it draws; "
            "use a node that redraws the tiles of a picture, or ILVR Upscale."
        )
    with torch.inference_mode(False):
        start: Tensor = run.model.process_latent_out(run.start.detach().cpu().float().clone())
    return start


def _found(tile: Tensor, whole: Tensor) -> Found:
    found = find_crop(tile, whole)
    if found.apart > TOO_FAR_APART:
        raise InputError(
            f"The tile was not found in the picture (the nearest place differs by "
            f"{found.apart:.2f} of its contrast); plug in the LATENT of the picture that is cut "
            "into tiles, at the size at which it is cut, or unplug it."
        )
    return found


def _image(model: ModelPatcher, latent: dict[str, Any], name: str) -> Tensor:
    samples = checked_samples(model, latent, name)
    if samples.ndim != 4:
        raise InputError(f"The {name} is a video; tiles are of pictures.")
    return samples[:1].cpu().float()


def _inputs() -> list[Any]:
    """In the order of the node: a workflow's values belong to places."""
    return [
        io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
        io.Float.Input(
            "factor",
            default=2.0,
            min=1.0,
            max=4096.0,
            step=0.25,
            tooltip="How much is left to the model: detail smaller than this many latent cells. As "
            "many as the picture was enlarged times keep all that the small one showed.",
        ),
        fraction(
            "start_percent",
            0.0,
            tooltip="When to begin following the reference, in timesteps: 0 = from the first step.",
        ),
        fraction(
            "end_percent",
            1.0,
            tooltip="When to stop. 1 = to the end.",
        ),
        fraction(
            "weight",
            1.0,
            step=0.01,
            tooltip="How strictly the reference is followed at the start: 0 = not at all, 1 = as "
            "in the paper.",
        ),
        fraction(
            "end_weight",
            END_WEIGHT,
            step=0.01,
            tooltip="How strictly it is followed at the end: below weight, the model is let go "
            "little by little.",
        ),
        io.Latent.Input(
            "picture",
            optional=True,
            tooltip="The large picture that is redrawn, encoded whole: in it the place of each "
            "tile is found. Without it, each tile follows what it begins with.",
        ),
        io.Latent.Input(
            "reference",
            optional=True,
            tooltip="Another picture to follow, laid over the whole of the large one. Without it, "
            "the large picture itself is followed.",
        ),
    ]
