"""The node that matches a MODEL's estimates as pictures, in few steps."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import Run
from ...ilvr_latent.diffusion.guide import GuideRun
from ...ilvr_latent.guides.picture_match import FactorUnit
from ...ilvr_latent.guides.picture_space import PictureILVR
from ..fitting import fit_image, fit_mask, on_white, to_batch
from ..node import Node
from ..picture_inputs import match_inputs
from ..schema import schema
from .checks import check_mask
from .networks import Decoder, Encoder, as_pictures, guided_with


class ILVRApplyInPictures(Node):
    """Hold decoded estimates to the low frequencies of a picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRApplyInPictures",
            search_aliases=["color lock", "image space", "colour drift", "reference image"],
            display_name="ILVR Apply in Pictures",
            category="ILVR",
            description=(
                "Gives the latent itself the colours of a reference as they will be seen: in a few "
                "steps the model's estimate is decoded, matched as a picture, and encoded. For "
                "latents that are sampled on."
            ),
            inputs=_inputs(),
            outputs=[io.Model.Output(tooltip="The model, held to the reference's colours.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: Any,
        reference: Tensor,
        factor: float,
        factor_unit: FactorUnit,
        weight: float,
        times: int,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: the reference, the mask or a number cannot be used, or the model samples no
                pictures.
        """
        check_mask(mask)
        decode, encode = Decoder(vae, model), Encoder(vae, model)
        settings: dict[str, Any] = {
            "factor_unit": factor_unit,
            "weight": weight,
            "times": times,
        }
        # What can be known of the numbers before the size is.
        PictureILVR(as_pictures(on_white(reference)), factor, decode, encode, **settings)

        def fitted(run: Run) -> PictureILVR:
            height, width = (side * run.cell for side in run.shape[-2:])
            pictures = fit_image(on_white(reference), width, height, "crop")
            target = as_pictures(to_batch(pictures, run.shape[0]))
            area = None if mask is None else fit_mask(mask, (run.shape[0], 1, height, width))
            return PictureILVR(target, factor, decode, encode, mask=area, **settings)

        node_id = getattr(cls.hidden, "unique_id", None)
        return io.NodeOutput(guided_with(model, _OfEachRun(fitted), decode.networks, node_id))


class _OfEachRun:
    """A guide that is made when the size of the pictures is known."""

    def __init__(self, fitted: Any) -> None:
        self._fitted = fitted

    def begin(self, run: Run) -> GuideRun | None:
        """Make it and begin it."""
        return self._fitted(run).begin(run)


def _inputs() -> list[Any]:
    """In the order of the node: a workflow's values belong to places."""
    return [
        io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
        io.Vae.Input("vae", tooltip="The VAE that belongs to the model."),
        io.Image.Input(
            "reference",
            tooltip="The picture that has the colours, such as the one that the work began with. "
            "Any size.",
        ),
        *match_inputs(
            finer="What is finer stays the model's own.",
            weight="How much of the way to the reference: 0 = none (the picture is the same as "
            "without this node), 1 = all of it.",
        ),
        io.Int.Input(
            "times",
            default=1,
            min=1,
            max=1000,
            tooltip="In how many steps, evenly over the run. 1 = the last one, which is enough for "
            "colours. Each costs as much as decoding once and encoding twice.",
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Where to match: white = yes. Elsewhere the picture is left alone. Any size.",
        ),
    ]
