"""The node that gives a finished picture the colours of another."""

from __future__ import annotations

from typing import Any, get_args

import torch
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent.guides.lowpass import Kernel
from ...ilvr_latent.guides.picture_match import Beyond, FactorUnit, match_picture
from ..fitting import fit_image, fit_mask, on_white
from ..guides.checks import check_mask
from ..node import Node
from ..picture_inputs import match_inputs
from ..schema import advanced, schema


class ILVRMatchPicture(Node):
    """The low frequencies of one picture put into another."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRMatchPicture",
            search_aliases=["color match", "colour lock", "color drift", "brightness", "tone"],
            display_name="ILVR Match Picture",
            category="ILVR",
            description=(
                "Gives a finished picture the colours and the brightness of a reference; its "
                "detail stays. After VAE Decode it stops the drift of colours over many rounds of "
                "img2img, inpainting or upscaling."
            ),
            inputs=_inputs(),
            outputs=[io.Image.Output(tooltip="The picture in the reference's colours.")],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        reference: Tensor,
        factor: float,
        factor_unit: FactorUnit,
        weight: float,
        mask: Tensor | None = None,
        beyond_mask: Beyond = "keep",
        kernel: Kernel = "cubic",
    ) -> io.NodeOutput:
        """Match picture by picture: a batch may be the frames of a long video.

        Raises:
            InputError: a picture, the mask or a number cannot be used.
        """
        check_mask(mask)
        pictures, references = on_white(image).float(), on_white(reference)
        height, width = image.shape[1:3]
        fitted = fit_image(references, width, height, "crop").movedim(-1, 1)
        areas = None if mask is None else fit_mask(mask, (len(image), 1, height, width))
        matched = [
            match_picture(
                picture[None].movedim(-1, 1),
                fitted[place % len(fitted)][None],
                factor,
                kernel,
                factor_unit=factor_unit,
                weight=weight,
                mask=None if areas is None else areas[place][None],
                beyond=beyond_mask,
                limits=(0.0, 1.0),
            )
            for place, picture in enumerate(pictures)
        ]
        return io.NodeOutput(torch.cat(matched).movedim(1, -1))


def _inputs() -> list[Any]:
    return [
        io.Image.Input(
            "image", tooltip="The finished picture, from VAE Decode. It may be a batch."
        ),
        io.Image.Input(
            "reference",
            tooltip="The picture that has the colours, such as the one that the work began with. "
            "Any size; a batch is taken picture by picture.",
        ),
        *match_inputs(
            finer="What is finer stays the picture's own.",
            weight="How much of the way to the reference: 0 = none (the picture as it is), 1 = "
            "all of it.",
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Where the two pictures are compared: white = yes. For inpainting, what was "
            "kept. Any size.",
        ),
        io.Combo.Input(
            "beyond_mask",
            options=list(get_args(Beyond)),
            default="keep",
            optional=True,
            tooltip="Where the mask is black: keep leaves the picture as it is, spread carries "
            "the change on, so that new parts go along with what is known.",
        ),
        advanced(
            io.Combo.Input(
                "kernel",
                options=list(get_args(Kernel)),
                default="cubic",
                optional=True,
                tooltip="Shape of the low-pass filter. cubic changes smoothly from place to "
                "place, box in blocks.",
            )
        ),
    ]
