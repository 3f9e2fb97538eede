"""The references: half of them calibrate, the other half check."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.colours.photographs import photographs
from ilvr_latent.embedded import REFERENCES
from ilvr_latent.pictures.images import read_image, to_tensor
from training.data import load as training_pictures

SIDE, EMOJI = 256, 6


@cache
def _all() -> Tensor:
    """(B, 3, 256, 256): those that ship, photographs, and emoji that no model was trained on."""
    shipped = torch.cat([to_tensor(read_image(path)) for path in sorted(REFERENCES.glob("*.png"))])
    data = training_pictures()
    emoji = data["images"][data["held_out"]][:: 64 // EMOJI][:EMOJI].float() / 127.5 - 1
    large = F.interpolate(emoji, (SIDE, SIDE), mode="bicubic").clamp(-1, 1)
    return torch.cat([shipped, photographs()[:7], large])


def references(which: str, side: int) -> Tensor:
    """(12, 3, side, side) in [-1, 1].

    Args:
        which: ``calibrate`` or ``check``: they have none in common.
        side: of the model's pictures.
    """
    chosen = _all()[0 if which == "calibrate" else 1 :: 2]
    if side == SIDE:
        return chosen
    return F.interpolate(chosen, (side, side), mode="bicubic", antialias=True).clamp(-1, 1)
