"""Reference clips of any length: their frames, and how strictly each frame of a video is held.

A clip is (1, C, T, H, W), or, of models of pictures, a batch: (T, C, H, W).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .lowpass import wide
from .weight import WeightSchedule

FramesFit = Literal["stretch", "hold"]


def as_clip(batch: Tensor) -> Tensor:
    """(T, C, H, W), a batch whose pictures are frames, as (1, C, T, H, W)."""
    return batch.transpose(0, 1).unsqueeze(0)


def as_batch(clip: Tensor) -> Tensor:
    """(1, C, T, H, W) as the batch of its frames, (T, C, H, W)."""
    return clip[0].transpose(0, 1)


def with_frames(clip: Tensor, frames: int, fit: FramesFit = "stretch") -> Tensor:
    """A clip with another number of frames.

    Args:
        clip: (B, C, T, H, W), any float dtype; one frame stands still.
        frames: how many are wanted.
        fit: ``stretch`` over the same time: the first and the last frame stay the first and the
            last, and between two frames it is linear, so two key frames become a fade; where frames
            are left out, they are averaged first. ``hold``: frame for frame; then the last one
            stands, or what is too long is cut.

    Returns:
        (B, C, frames, H, W).
    """
    given = clip.shape[2]
    if given == frames:
        return clip
    if given == 1:
        return clip.expand(-1, -1, frames, -1, -1)
    if fit == "hold":
        return clip[:, :, torch.arange(frames).clamp(max=given - 1)]
    stretch = max(1.0, (given - 1) / (frames - 1)) if frames > 1 else 1.0
    place = torch.linspace(0, given - 1, frames, dtype=torch.float64)
    away = place[:, None] - torch.arange(given)
    weights = (1 - away.abs() / stretch).clamp(min=0)
    x = wide(clip).flatten(-2)
    stretched = (weights / weights.sum(1, keepdim=True)).to(x) @ x
    return stretched.reshape(*clip.shape[:2], frames, *clip.shape[-2:]).to(clip.dtype)


def weights_of_frames(weights: WeightSchedule, frames: int) -> Tensor:
    """The weight of each frame, (1, 1, frames, 1, 1): a mask over the time of a video.

    Args:
        weights: over the time, from 0 (the first frame) to 1 (the last).
        frames: how many there are.
    """
    last = max(frames - 1, 1)
    return torch.tensor([weights(i / last) for i in range(frames)]).view(1, 1, -1, 1, 1)
