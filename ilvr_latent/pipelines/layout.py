"""Latents as pipelines hold them, and as a guide sees them: always (pictures, C, H, W).

Pipelines hold pictures as (B, C, H, W), videos as (B, C, F, H, W) or (B, F, C, H, W), and either
packed, as (B, tokens, C p p) with tokens row by row and p x p latent cells in each (Flux). A guide
sees a video's frames as pictures: frame 0 of every video, then frame 1, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from einops import rearrange
from torch import Tensor

from ..diffusion.noise import NoiseSource
from ..errors import InputError

# These hold videos as (B, F, C, H, W).
FRAMES_FIRST = ("CogVideoX", "ConsisID", "StableVideoDiffusion")
PICTURES = "(f b) c h w"
PACKED = "b (f h w) (c p q)"


@dataclass(frozen=True)
class Layout:
    """A way of holding latents, in einops' words.

    Attributes:
        held: the pattern of the pipeline.
        seen: the pattern of the guide.
        lengths: those of the axes that the pattern does not tell.
    """

    held: str
    seen: str
    lengths: dict[str, int]

    def pictures(self, latents: Tensor) -> Tensor:
        """(pictures, C, H, W) of a pipeline's latents."""
        return rearrange(latents, f"{self.held} -> {self.seen}", **self.lengths)

    def latents(self, pictures: Tensor) -> Tensor:
        """The pipeline's latents of (pictures, C, H, W)."""
        return rearrange(pictures, f"{self.seen} -> {self.held}", **self.lengths)

    def noise(self, noise: NoiseSource) -> NoiseSource:
        """A source that draws a video as one picture, with one stream for all its frames."""
        frames = self.lengths.get("f", 1)
        return noise if frames == 1 else _NoiseOfFrames(noise, frames)


class _NoiseOfFrames:
    """Noise for (frames * B) pictures, from a source that draws for B videos."""

    def __init__(self, noise: NoiseSource, frames: int) -> None:
        self._noise, self._frames = noise, frames

    def _of_videos(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (shape[0] // self._frames, self._frames, *shape[1:])

    def initial(self, shape: Sequence[int]) -> Tensor:
        return _frame_by_frame(self._noise.initial(self._of_videos(shape)))

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        return _frame_by_frame(self._noise.step(i, self._of_videos(shape)))

    def reference(self, i: int, shape: Sequence[int]) -> Tensor:
        return _frame_by_frame(self._noise.reference(i, self._of_videos(shape)))


def _frame_by_frame(videos: Tensor) -> Tensor:
    return rearrange(videos, "b f c h w -> (f b) c h w")


def layout_of(pipe: Any, latents: Tensor, reference: Tensor) -> Layout:
    """How a pipeline holds latents.

    Args:
        pipe: the pipeline.
        latents: as it holds them.
        reference: (B, C, H, W); what is packed does not tell its height and width itself.

    Raises:
        InputError: they are no picture, or the reference is of another size.
    """
    if latents.ndim == 4:
        return Layout("b c h w", "b c h w", {})
    if latents.ndim == 5:
        frames_first = type(pipe).__name__.startswith(FRAMES_FIRST)
        held = "b f c h w" if frames_first else "b c f h w"
        return Layout(held, PICTURES, {"f": latents.shape[1 if frames_first else 2]})
    if latents.ndim != 3:
        raise InputError(
            f"{type(pipe).__name__} samples {latents.ndim} dimensions, {tuple(latents.shape)}; "
            "ILVR needs a pipeline that samples pictures or videos."
        )
    return _packed(latents, reference)


def _packed(latents: Tensor, reference: Tensor) -> Layout:
    _, tokens, width = latents.shape
    channels, height, columns = reference.shape[-3:]
    side = math.isqrt(width // channels)
    cells = (height // side) * (columns // side) if side else 0
    fits = side and side**2 * channels == width and not (height % side or columns % side)
    if not fits or tokens % cells:
        raise InputError(
            f"The pipeline samples {tokens} tokens of {width} channels, the reference latent is "
            f"{channels}x{height}x{columns}; encode the reference at the height and width that are "
            "generated (and use a pipeline that samples pictures)."
        )
    lengths = {"f": tokens // cells, "h": height // side, "p": side, "q": side}
    return Layout(PACKED, "(f b) c (h p) (w q)", lengths)
