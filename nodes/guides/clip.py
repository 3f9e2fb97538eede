"""The node that guides a MODEL by CLIP."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import InputError
from ...ilvr_latent.guides import ClipGuidance
from ..node import Node
from ..schema import schema
from .networks import Decoder, PictureEncoder, as_pictures, guided_with


class ILVRClipGuidance(Node):
    """Lead what a MODEL samples towards what CLIP takes for a text or a picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRClipGuidance",
            search_aliases=["CLIP guided diffusion", "embedding", "image prompt", "text"],
            display_name="ILVR CLIP Guidance",
            category="ILVR",
            description=(
                "Leads the picture towards a text, or towards what another picture shows, as a "
                "CLIP_VISION sees it. For models that know no prompts, too; slower, because "
                "gradients go through the network, the VAE and CLIP."
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
        clip_vision: Any,
        scale: float,
        image: Tensor | None = None,
        clip: Any = None,
        text: str = "",
    ) -> io.NodeOutput:
        """Embed what is wanted, and clone the MODEL.

        Raises:
            InputError: nothing is wanted, or CLIP and CLIP_VISION do not belong together.
        """
        decode, encode = Decoder(vae, model), PictureEncoder(clip_vision)
        targets = []
        if image is not None:
            targets.append(encode.now(as_pictures(image)).mean(0, keepdim=True))
        if text.strip():
            if clip is None:
                raise InputError("The text needs a CLIP to be read with; plug one in.")
            targets.append(clip.encode_from_tokens(clip.tokenize(text), return_pooled=True)[1])
            _check_kinds(targets[-1], encode.now(torch.zeros(1, 3, 8, 8)))
        if not targets:
            raise InputError("There is nothing to be led to; plug in an image, or a CLIP and text.")
        wanted = torch.stack([F.normalize(each.float().cpu(), dim=-1) for each in targets]).mean(0)
        # The model has its own range, and pixel models their own clamp.
        guide = ClipGuidance(lambda x_0: encode(decode(x_0)), wanted, scale=scale, clip=False)
        networks = [*decode.networks, *encode.networks]
        node_id = getattr(cls.hidden, "unique_id", None)
        return io.NodeOutput(guided_with(model, guide, networks, node_id))


def _check_kinds(text: Tensor, picture: Tensor) -> None:
    if text.shape[-1] != picture.shape[-1]:
        raise InputError(
            f"The CLIP reads a text to {text.shape[-1]} numbers and the CLIP_VISION a picture to "
            f"{picture.shape[-1]}; use two that were trained together."
        )


def _inputs() -> list[Any]:
    """In the order of the node: a workflow's values belong to places."""
    return [
        io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
        io.Vae.Input("vae", tooltip="Of the model; CLIP looks at decoded pictures."),
        io.ClipVision.Input("clip_vision", tooltip="What looks at them."),
        io.Float.Input(
            "scale",
            default=2000.0,
            min=0.0,
            max=1000000.0,
            step=10.0,
            tooltip="How strongly. Published runs have 2000 at 512x512 pixels, and less in "
            "proportion for fewer. 0 = not at all.",
        ),
        io.Image.Input(
            "image",
            optional=True,
            tooltip="What the picture shall show, as CLIP understands it. Several count as their "
            "average.",
        ),
        io.Clip.Input(
            "clip",
            optional=True,
            tooltip="Reads the text; must have been trained together with the CLIP_VISION.",
        ),
        io.String.Input(
            "text",
            default="",
            multiline=True,
            optional=True,
            tooltip="What the picture shall show. With an image too, the average of both.",
        ),
    ]
