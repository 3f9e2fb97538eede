"""The node that puts ILVR on a MODEL."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import ILVR, Reference
from ..driver import guided
from ..fitting import pixels_to_a_cell
from ..node import Node
from ..schema import schema
from .checks import check_mask, checked_samples
from .widget_values import (
    Expert,
    chosen_factor,
    chosen_frame_weights,
    chosen_weight,
    chosen_window,
)
from .widgets import inputs


class ILVRApply(Node):
    """Hold what a MODEL samples to the low frequencies of a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRApply",
            search_aliases=[
                "reference image",
                "image to image",
                "img2img",
                "style transfer",
                "style",
                "composition",
                "low frequencies",
                "DDNM",
            ],
            display_name="ILVR Apply",
            category="ILVR",
            description=(
                "Gives the picture the layout and the colours of a reference; everything finer "
                "comes from the model and the prompt. No training, any sampler. Chain several to "
                "use several references."
            ),
            inputs=inputs(),
            outputs=[io.Model.Output(tooltip="The model, following the reference.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        reference: dict[str, Any],
        factor: float,
        start_percent: float,
        end_percent: float,
        weight: float,
        mask: Tensor | None = None,
        **expert: Any,
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: the reference, the mask or a number cannot be used.
        """
        chosen = Expert(**expert)
        window = chosen_window(start_percent, end_percent, chosen)
        samples = checked_samples(model, reference, "reference")
        check_mask(mask)
        cell = pixels_to_a_cell(model.get_model_object("latent_format"))
        cells_or_share, unit = chosen_factor(factor, chosen.factor_unit, cell)
        guide = ILVR(
            Reference(
                samples,
                cells_or_share,
                factor_unit=unit,
                window=window,
                weight=chosen_weight(weight, chosen),
                mask=mask,
                kernel=chosen.kernel,
                space=chosen.space,
                noise=chosen.noise,
                band=chosen.band,
                frames_factor=chosen.frames_factor,
                frame_weights=chosen_frame_weights(chosen),
                frames_fit=chosen.frames_fit,
            )
        )
        return io.NodeOutput(guided(model, guide, getattr(cls.hidden, "unique_id", None)))
