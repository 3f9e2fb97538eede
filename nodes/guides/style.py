"""The node that gives what a MODEL samples the style of a picture."""

from __future__ import annotations

from typing import Any, get_args

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import BandStatistics
from ...ilvr_latent.guides.style import STYLE_FACTOR
from ...ilvr_latent.guides.transport import Moments
from ..driver import guided
from ..fitting import pixels_to_a_cell
from ..node import Node
from ..schema import advanced, fraction, schema
from .checks import check_mask, checked_samples
from .widget_values import Expert, Unit, chosen_factor, chosen_window


class ILVRStyle(Node):
    """Give what a MODEL samples the style of a picture, whatever its places."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRStyle",
            search_aliases=["style transfer", "AdaIN", "WCT", "colour transfer", "palette"],
            display_name="ILVR Style",
            category="ILVR",
            description=(
                "Gives the picture the colours and the textures of a reference, whatever their "
                "places. Put it after ILVR Apply: the layout comes from one picture, the style "
                "from another. No training, any sampler."
            ),
            inputs=_inputs(),
            outputs=[io.Model.Output(tooltip="The model, in the style of the reference.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        style: dict[str, Any],
        factor: float,
        weight: float,
        start_percent: float,
        end_percent: float,
        palette: bool,
        mask: Tensor | None = None,
        factor_unit: Unit = "share",
        moments: Moments = "covariance",
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: the style, the mask or a number cannot be used.
        """
        check_mask(mask)
        cell = pixels_to_a_cell(model.get_model_object("latent_format"))
        cells_or_share, unit = chosen_factor(factor, factor_unit, cell)
        guide = BandStatistics(
            checked_samples(model, style, "style"),
            cells_or_share,
            factor_unit=unit,
            window=chosen_window(start_percent, end_percent, Expert()),
            weight=weight,
            mask=mask,
            moments=moments,
            palette=palette,
        )
        return io.NodeOutput(guided(model, guide, getattr(cls.hidden, "unique_id", None)))


def _inputs() -> list[Any]:
    """In the order of the node: a workflow's values belong to places."""
    return [
        io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
        io.Latent.Input(
            "style",
            tooltip=(
                "What colours and textures are taken from, encoded with this model's VAE. Where "
                "they are in it does not matter. Any size; it is resized to the sampled latent."
            ),
        ),
        io.Float.Input(
            "factor",
            default=STYLE_FACTOR,
            min=0.001,
            max=4096.0,
            step=0.005,
            tooltip=(
                "The largest detail that counts as texture, as a share of the shorter side: 0.125 "
                "is 1/8. Larger takes over broader contrasts and disturbs the layout more; smaller "
                "only the finest strokes and the colours."
            ),
        ),
        fraction(
            "weight",
            1.0,
            step=0.01,
            display_mode=io.NumberDisplay.slider,
            tooltip=(
                "How much of the style is taken over at each step: 0 = nothing (the picture is the "
                "same as without this node), 1 = all of it."
            ),
        ),
        fraction(
            "start_percent",
            0.0,
            tooltip="When to begin, in timesteps as in other nodes: 0 = from the first step.",
        ),
        fraction(
            "end_percent",
            1.0,
            tooltip=(
                "When to stop. 1 = to the end: closest to the style. Earlier, the model finishes "
                "on its own and smooths some of it away."
            ),
        ),
        io.Boolean.Input(
            "palette",
            default=True,
            tooltip=(
                "Also move the colours of what is larger than factor to those of the style. Off, "
                "the layout keeps its own colours and only textures are taken over."
            ),
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip=(
                "Where to take the style over: white = yes. Elsewhere the model is free. Any size."
            ),
        ),
        advanced(
            io.Combo.Input(
                "factor_unit",
                options=list(get_args(Unit))[::-1],
                default="share",
                optional=True,
                tooltip=(
                    "What factor counts: a share of the picture's shorter side, pixels, or cells "
                    "of the latent."
                ),
            )
        ),
        advanced(
            io.Combo.Input(
                "moments",
                options=list(get_args(Moments)),
                default="covariance",
                optional=True,
                tooltip=(
                    "covariance takes over which channels go together, so whole colours. "
                    "deviation only the contrast of each channel (AdaIN): milder."
                ),
            )
        ),
    ]
