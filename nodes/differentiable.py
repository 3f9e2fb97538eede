"""The host's networks, made for sampling alone, with gradients through them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management
import torch
from torch import Tensor, nn

from ..ilvr_latent.diffusion.gradients import ordinary_weights


@contextmanager
def differentiable(network: nn.Module) -> Iterator[None]:
    """A network of the host that autograd can go through, while it is open.

    Its layers write over what autograd has saved, and newer hosts have operations without a slope,
    which they leave out in training.
    """
    host, name = comfy.model_management, "in_training"
    before = getattr(host, name, None)
    try:
        if before is not None:
            setattr(host, name, True)
        with ordinary_weights(network):
            # To copy weights would double the network; they are saved as views, too.
            weights = {_place(tensor) for tensor in (*network.parameters(), *network.buffers())}

            def copied(saved: Tensor) -> Tensor:
                return saved if _place(saved) in weights else saved.detach().clone()

            with torch.autograd.graph.saved_tensors_hooks(copied, lambda saved: saved):
                yield
    finally:
        if before is not None:
            setattr(host, name, before)


def _place(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()
