"""The node that guides a MODEL by a loss of the picture: Universal Guidance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import InputError
from ...ilvr_latent.guides import UniversalGuidance, losses
from ..fitting import fit_mask, resized
from ..node import Node
from ..schema import schema
from .checks import check_mask
from .networks import Decoder, PictureEncoder, as_pictures, guided_with

LossName = Literal["colours", "picture", "edges", "style"]
Loss = Callable[[Tensor], Tensor]


class ILVRUniversalGuidance(Node):
    """Lead what a MODEL samples to where a loss of the picture is low."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRUniversalGuidance",
            search_aliases=["loss", "palette", "colour match", "edges", "style", "gradient"],
            display_name="ILVR Universal Guidance",
            category="ILVR",
            description=(
                "Leads the picture by what it shall have in common with a target: its colours, "
                "its edges, a part of it, or its style. No training, any sampler; slower, because "
                "gradients go through the network and the VAE."
            ),
            inputs=_inputs(),
            outputs=[io.Model.Output(tooltip="The model, led towards the target.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: Any,
        target: Tensor,
        loss: LossName,
        weight: float,
        backward_steps: int,
        backward_lr: float,
        mask: Tensor | None = None,
        clip_vision: Any = None,
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: the target, the mask or a number cannot be used, or a network is missing.
        """
        check_mask(mask)
        if mask is not None and loss != "picture":
            raise InputError(f"The loss {loss!r} has no mask; unplug it, or use 'picture'.")
        if loss == "style" and clip_vision is None:
            raise InputError("The loss 'style' looks through a CLIP_VISION; plug one in.")
        decode = Decoder(vae, model)
        encoder = PictureEncoder(clip_vision) if loss == "style" else None
        compared = _Compared(loss, as_pictures(target[:1]), mask, encoder)
        guide = UniversalGuidance(
            lambda x_0: compared(decode(x_0)),
            weight=weight,
            backward_steps=backward_steps,
            backward_lr=backward_lr,
        )
        networks = [*decode.networks, *(encoder.networks if encoder is not None else ())]
        node_id = getattr(cls.hidden, "unique_id", None)
        return io.NodeOutput(guided_with(model, guide, networks, node_id))


class _Compared:
    """A loss of decoded pictures, made when their size is known."""

    def __init__(
        self, name: LossName, target: Tensor, mask: Tensor | None, encoder: PictureEncoder | None
    ) -> None:
        self._name, self._target, self._mask, self._encoder = name, target, mask, encoder
        self._made: dict[Any, Loss] = {}

    def __call__(self, pictures: Tensor) -> Tensor:
        kind = (*pictures.shape[-2:], pictures.device)
        if kind not in self._made:
            self._made[kind] = self._loss(pictures)
        return self._made[kind](pictures)

    def _loss(self, pictures: Tensor) -> Loss:
        target = resized(self._target, *pictures.shape[-2:]).to(pictures.device)
        if self._name == "colours":
            return losses.colour_histogram(target)
        if self._name == "edges":
            return losses.edges(target)
        if self._encoder is not None:
            return losses.style(self._encoder.features, target)
        area = target.new_ones(1) if self._mask is None else fit_mask(self._mask[:1], target.shape)
        return losses.masked_distance(target, area.to(pictures.device).clone())


def _inputs() -> list[Any]:
    """In the order of the node: a workflow's values belong to places."""
    return [
        io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
        io.Vae.Input("vae", tooltip="Of the model; the loss looks at decoded pictures."),
        io.Image.Input("target", tooltip="What the picture is compared with. Any size."),
        io.Combo.Input(
            "loss",
            options=list(get_args(LossName)),
            default="colours",
            tooltip="What to have in common. colours: how much of each, wherever it is; picture: "
            "all, or what the mask shows; edges: where the outlines are, as in a drawing; style: "
            "what belongs together, seen by a CLIP_VISION.",
        ),
        io.Float.Input(
            "weight",
            default=5.0,
            min=0.0,
            max=1000000.0,
            step=1.0,
            tooltip="How strongly, through the network (the paper's forward guidance). Losses "
            "differ: begin low and double it until it shows. 0 = without.",
        ),
        io.Int.Input(
            "backward_steps",
            default=0,
            min=0,
            max=1000,
            tooltip="Moves of the estimate itself down the loss at each step (backward guidance): "
            "only through the VAE. 0 = without.",
        ),
        io.Float.Input(
            "backward_lr",
            default=1.0,
            min=0.0,
            max=1000000.0,
            step=0.1,
            tooltip="How long each of these moves is, as a factor of the slope.",
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="For the loss picture: where to compare, white = yes.",
        ),
        io.ClipVision.Input(
            "clip_vision", optional=True, tooltip="For the loss style: whose features are compared."
        ),
    ]
