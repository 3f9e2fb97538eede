"""The layers of guided-diffusion's networks (arXiv 2105.05233).

Modules are named as guided-diffusion names its parameters, so that a checkpoint loads as it is.
Every layer takes the embedding of the timestep too, whether it uses it or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

GROUPS = 32

Resampling = Literal["down", "up"]

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values, each (B, heads, places, width), to the same."""


def norm(channels: int) -> nn.GroupNorm:
    """The normalisation in front of every convolution."""
    return nn.GroupNorm(GROUPS, channels)


def time_embedding(width: int) -> nn.Sequential:
    """(B, width) of :func:`sinusoids` to the (B, 4 width) that layers take."""
    return nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))


def sinusoids(t: Tensor, width: int) -> Tensor:
    """The timesteps (B,) as guided-diffusion embeds them: cosines first, (B, width), fp32."""
    half = width // 2
    rates = torch.exp(-math.log(10000) / half * torch.arange(half, device=t.device))
    angles = t.float()[:, None] * rates
    return F.pad(torch.cat([angles.cos(), angles.sin()], dim=-1), (0, width % 2))


def in_turn(layers: Sequence[nn.Module] | nn.ModuleList, x: Tensor, embedding: Tensor) -> Tensor:
    """The layers of one block."""
    for layer in layers:
        x = layer(x, embedding)
    return x


class Stem(nn.Conv2d):
    """The first convolution, which has no use for the timestep."""

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        return super().forward(x)


class ResidualBlock(nn.Module):
    """Two convolutions and the timestep.

    Args:
        channels: that it takes.
        out: channels that it gives.
        embedding: width of the timestep's embedding.
        scale_shift: the timestep scales and shifts the second norm, and is not only added.
        resampling: ``down`` halves the resolution, ``up`` doubles it.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        embedding: int,
        *,
        scale_shift: bool,
        resampling: Resampling | None = None,
    ) -> None:
        super().__init__()
        self._scale_shift, self._resampling = scale_shift, resampling
        self.in_layers = nn.Sequential(
            norm(channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1)
        )
        wide = 2 * out if scale_shift else out
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, wide))
        last = nn.Conv2d(out, out, 3, padding=1)
        # The third is guided-diffusion's dropout, which has no parameters.
        self.out_layers = nn.Sequential(norm(out), nn.SiLU(), nn.Identity(), last)
        same = channels == out
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, H, W) and (B, E) to (B, C', H, W), at the new resolution."""
        normalise, activate, convolve = self.in_layers
        h = self._resampled(activate(normalise(x)))
        h, x = convolve(h), self._resampled(x)
        of_time = self.emb_layers(embedding)[..., None, None]
        if self._scale_shift:
            scale, shift = of_time.chunk(2, dim=1)
            h = self.out_layers[0](h) * (1 + scale) + shift
            h = self.out_layers[1:](h)
        else:
            h = self.out_layers(h + of_time)
        total: Tensor = self.skip_connection(x) + h
        return total

    def _resampled(self, x: Tensor) -> Tensor:
        if self._resampling == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2.0) if self._resampling == "up" else x


class Attention(nn.Module):
    """Self-attention over places, with a skip connection.

    Args:
        channels: of the maps.
        heads: a divisor of the channels.
        new_order: q, k and v lie outermost in the fused weight; else the heads do.
    """

    def __init__(self, channels: int, heads: int, *, new_order: bool = False) -> None:
        super().__init__()
        self._heads = heads
        self._split = "(three h c)" if new_order else "(h three c)"
        self.norm = norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, embedding: Tensor, attend: Attend | None = None) -> Tensor:
        """(B, C, H, W) to the same, by another attention where one is given."""
        # As places x channels, a view of what lies in channels_last, and so is the way back.
        places = _linear(self.qkv, self.norm(x).flatten(2).transpose(1, 2))
        q, k, v = rearrange(places, f"b n {self._split} -> three b h n c", three=3, h=self._heads)
        h = rearrange((attend or self.attend)(q, k, v), "b h n c -> b n (h c)")
        return x + _linear(self.proj_out, h).transpose(1, 2).view_as(x)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values (B, heads, places, width) to the same."""
        return F.scaled_dot_product_attention(q, k, v)


def _linear(convolution: nn.Conv1d, x: Tensor) -> Tensor:
    """A convolution over one place, of places x channels."""
    return F.linear(x, convolution.weight[..., 0], convolution.bias)


class Downsample(nn.Module):
    """A convolution of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, H, W) to half of H and W."""
        half: Tensor = self.op(x)
        return half


class Upsample(nn.Module):
    """Every place four times, and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, H, W) to double H and W."""
        double: Tensor = self.conv(F.interpolate(x, scale_factor=2.0))
        return double
