"""guided-diffusion's classifier of noisy pictures (arXiv 2105.05233, section 4).

The way down of the ADM network, its middle, and a pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..errors import InputError, check_choice
from .layers import (
    GROUPS,
    Attention,
    Downsample,
    ResidualBlock,
    Stem,
    in_turn,
    norm,
    sinusoids,
    time_embedding,
)

Pool = Literal["attention", "adaptive", "spatial", "spatial_v2"]
HIDDEN = 2048


@dataclass(frozen=True)
class ClassifierConfig:
    """What a classifier is; the names are those of guided-diffusion's ``create_classifier``.

    Attributes:
        image_size: of the pictures, along a side.
        width: channels at full resolution.
        depth: residual blocks of each level.
        channel_mult: channels of each level, as multiples of ``width``.
        attention_downsampling: the factors of downsampling at which there is attention.
        num_head_channels: channels of an attention head; cannot be seen in a file.
        pool: what makes a vector of the last maps.
        use_scale_shift_norm: the timestep scales and shifts, and is not only added.
        resblock_updown: residual blocks change the resolution, and not a convolution.
        num_classes: how many logits there are.
        in_channels: of a picture.
        patch: the network sees ``patch x patch`` pixels as channels (1: plain guided-diffusion);
            cannot be seen in a file.
        noise_schedule: of the noise that it was trained on; ``None``: nobody knows.
        diffusion_steps: T of that schedule.

    Raises:
        InputError: one of them can't be.
    """

    image_size: int
    width: int
    depth: int
    channel_mult: tuple[float, ...]
    attention_downsampling: tuple[int, ...]
    num_head_channels: int = 64
    pool: Pool = "attention"
    use_scale_shift_norm: bool = True
    resblock_updown: bool = True
    num_classes: int = 1000
    in_channels: int = 3
    patch: int = 1
    noise_schedule: str | None = None
    diffusion_steps: int = 1000

    def __post_init__(self) -> None:
        check_choice("pool", self.pool, get_args(Pool))
        smallest = self.patch << (len(self.channel_mult) - 1)
        if self.patch < 1 or self.image_size % smallest:
            raise InputError(
                f"The classifier's image_size is {self.image_size} and its patch {self.patch}; "
                f"use a patch of at least 1 and a size that is a multiple of {max(smallest, 1)}."
            )
        for channels in {self.width, *self.channels}:
            if channels < 1 or channels % GROUPS:
                raise InputError(
                    f"The classifier has a layer of {channels} channels; use multiples of {GROUPS}."
                )
            if channels % self.num_head_channels and self._attends(channels):
                raise InputError(
                    f"num_head_channels is {self.num_head_channels}, which does not divide a layer "
                    f"of {channels} channels; use a divisor such as 64 or 32."
                )

    def _attends(self, channels: int) -> bool:
        return channels == self.channels[-1] or any(
            channels == of_level and 2**level in self.attention_downsampling
            for level, of_level in enumerate(self.channels)
        )

    @property
    def channels(self) -> tuple[int, ...]:
        """Of each level."""
        return tuple(int(mult * self.width) for mult in self.channel_mult)


class AttentionPool(nn.Module):
    """The mean asks all places (CLIP's pool); q, k and v outermost."""

    def __init__(self, side: int, channels: int, head_channels: int, out: int) -> None:
        super().__init__()
        self._heads = channels // head_channels
        self.positional_embedding = nn.Parameter(torch.zeros(channels, side**2 + 1))
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K)."""
        places = x.flatten(2)
        places = torch.cat([places.mean(dim=-1, keepdim=True), places], dim=-1)
        places = places + self.positional_embedding[None]
        q, k, v = rearrange(
            self.qkv_proj(places), "b (three h c) n -> three b h n c", three=3, h=self._heads
        )
        h = F.scaled_dot_product_attention(q[:, :, :1], k, v)
        out: Tensor = self.c_proj(rearrange(h, "b h n c -> b (h c) n"))
        return out[..., 0]


class ADMClassifier(nn.Module):
    """(noisy pictures, timesteps) to logits.

    Args:
        config: what it is.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        embedding = 4 * config.width
        self.time_embed = time_embedding(config.width)
        self.input_blocks = self._way_down(embedding)
        last, head = config.channels[-1], config.num_head_channels
        block = partial(ResidualBlock, scale_shift=config.use_scale_shift_norm)
        self.middle_block = nn.ModuleList(
            [
                block(last, last, embedding),
                Attention(last, last // head),
                block(last, last, embedding),
            ]
        )
        self.out = self._pool()

    def _way_down(self, embedding: int) -> nn.ModuleList:
        config, channels = self.config, self.config.channels[0]
        block = partial(ResidualBlock, scale_shift=config.use_scale_shift_norm)
        blocks = [
            nn.ModuleList([Stem(config.in_channels * config.patch**2, channels, 3, padding=1)])
        ]
        self._widths = [channels]
        for level, out in enumerate(config.channels):
            for _ in range(config.depth):
                layers: list[nn.Module] = [block(channels, out, embedding)]
                channels = out
                if 2**level in config.attention_downsampling:
                    layers.append(Attention(channels, channels // config.num_head_channels))
                blocks.append(nn.ModuleList(layers))
                self._widths.append(channels)
            if level < len(config.channels) - 1:
                halving: nn.Module = Downsample(channels)
                if config.resblock_updown:
                    halving = block(channels, channels, embedding, resampling="down")
                blocks.append(nn.ModuleList([halving]))
                self._widths.append(channels)
        self._widths.append(channels)
        return nn.ModuleList(blocks)

    def _pool(self) -> nn.Sequential:
        config, last = self.config, self.config.channels[-1]
        if config.pool == "attention":
            side = config.image_size // (config.patch << (len(config.channels) - 1))
            pool = AttentionPool(side, last, config.num_head_channels, config.num_classes)
            return nn.Sequential(norm(last), nn.SiLU(), pool)
        if config.pool == "adaptive":
            average, out = nn.AdaptiveAvgPool2d(1), nn.Conv2d(last, config.num_classes, 1)
            return nn.Sequential(norm(last), nn.SiLU(), average, out, nn.Flatten())
        first, out_layer = (
            nn.Linear(sum(self._widths), HIDDEN),
            nn.Linear(HIDDEN, config.num_classes),
        )
        if config.pool == "spatial":
            return nn.Sequential(first, nn.ReLU(), out_layer)
        return nn.Sequential(first, norm(HIDDEN), nn.SiLU(), out_layer)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Logits.

        Args:
            x: noisy pictures (B, C, H, W), of the size that the classifier is for.
            t: original timesteps, (B,).

        Returns:
            (B, K), fp32 or wider.

        Raises:
            InputError: pictures of another size or number of channels.
        """
        h, means = self._maps(x, t)
        spatial = self.config.pool.startswith("spatial")
        logits: Tensor = self.out(torch.cat(means, dim=-1) if spatial else h)
        return logits if logits.dtype == torch.float64 else logits.float()

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """What it sees before its head, as EGSDE and SDDM ask of a domain classifier.

        Args:
            x: as :meth:`forward`.
            t: likewise.

        Returns:
            (B, C', h, w), h and w the sides of the last level.

        Raises:
            InputError: pictures of another size or number of channels.
        """
        return self._maps(x, t)[0]

    def _maps(self, x: Tensor, t: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last maps, and the means of those of every block."""
        side, channels = self.config.image_size, self.config.in_channels
        if tuple(x.shape[1:]) != (channels, side, side):
            raise InputError(
                f"The classifier is for pictures of {channels}x{side}x{side}, not of "
                f"{'x'.join(map(str, x.shape[1:]))}; sample at that size."
            )
        weight = self.middle_block[1].get_parameter("proj_out.weight")
        embedding = self.time_embed(sinusoids(t, self.config.width).to(weight))
        h, means = x.to(weight), []
        if self.config.patch > 1:
            h = F.pixel_unshuffle(h, self.config.patch)
        for layers in (*self.input_blocks, self.middle_block):
            h = in_turn(layers, h, embedding)
            means.append(h.mean(dim=(2, 3)))
        return h, means
