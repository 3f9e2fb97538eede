"""The node under test in a graph, and how close a result comes to the reference."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from torch import Tensor

N = 4


def applied(pack: ModuleType, model: Any, reference: Tensor, **settings: Any) -> Any:
    """ILVR Apply over the whole run, unless said otherwise."""
    settings = {"factor": N, "start_percent": 0.0, "end_percent": 1.0, "weight": 1.0} | settings
    latent = {"samples": reference} | settings.pop("latent", {})
    return pack.nodes.guides.ilvr.ILVRApply.execute(model, latent, **settings)[0]


def residual(pack: ModuleType, out: Tensor, reference: Tensor, where: Any = ...) -> float:
    """Relative distance of the low frequencies, exact kernel."""
    phi = pack.ilvr_latent.LowPass(N, "box")
    wanted = phi(reference)[where]
    return float((phi(out)[where] - wanted).norm() / wanted.norm())


def after_node(model: Any, module: str, name: str, *settings: Any) -> Any:
    """The model after one of the host's own nodes, whichever way that one is written."""
    node = getattr(importlib.import_module(f"comfy_extras.{module}"), name)
    if hasattr(node, "execute"):
        return node.execute(model, *settings)[0]
    return getattr(node(), node.FUNCTION)(model, *settings)[0]
