"""Inputs of nodes that match pictures, where N is a share of the side."""

from __future__ import annotations

from typing import Any, get_args

from comfy_api.latest import io

from ..ilvr_latent.guides.picture_match import FactorUnit


def match_inputs(*, finer: str, weight: str) -> list[Any]:
    """How coarsely and how strictly a picture is matched.

    Args:
        finer: what becomes of what is finer than N, as a sentence.
        weight: what the weight says, as a sentence.
    """
    return [
        io.Float.Input(
            "factor",
            default=0.25,
            min=0.001,
            max=4096.0,
            step=0.01,
            tooltip=f"{finer} As a share of the shorter side: 0.25 holds the colours of 4 by 4 "
            "places, 1 the mean colour alone, 0.05 shapes too.",
        ),
        io.Combo.Input(
            "factor_unit",
            options=list(get_args(FactorUnit))[::-1],
            default="share",
            tooltip="What factor counts: a share of the picture's shorter side, or pixels.",
        ),
        io.Float.Input("weight", default=1.0, min=0.0, max=1.0, step=0.01, tooltip=weight),
    ]
