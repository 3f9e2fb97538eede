"""Samplers that are a whole loop of their own, beside those of :data:`.samplers.SAMPLERS`.

Each is called as ``loop(model, guide=..., shape=..., steps=..., class_labels=..., noise=...,
callback=...)``; what else it takes has its own defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import Tensor

from .network_cold import sample_cold
from .network_flow import sample_flow
from .predictor_corrector import sample_pc

LOOPS: Final[dict[str, Callable[..., Tensor]]] = {
    "pc": sample_pc,
    "ode": sample_flow,
    "cold": sample_cold,
}
"""By the name that the command line knows them by."""
