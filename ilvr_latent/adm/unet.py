"""The ADM network (guided-diffusion's ``UNetModel``, arXiv 2105.05233)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .config import ADMConfig
from .layers import (
    Attend,
    Attention,
    Downsample,
    Resampling,
    ResidualBlock,
    Stem,
    Upsample,
    in_turn,
    norm,
    sinusoids,
    time_embedding,
)
from .patches import weights_of_state, without_repeated


class ADMUNet(nn.Module):
    """The network itself; its modules carry guided-diffusion's names.

    Args:
        config: what it is.
    """

    def __init__(self, config: ADMConfig) -> None:
        super().__init__()
        self.config = config
        width, widths = config.num_channels, config.block_out_channels
        self.time_embed = time_embedding(width)
        if config.num_classes is not None:
            self.label_emb = nn.Embedding(config.num_classes, 4 * width)
        self.input_blocks, skipped = self._way_down()
        self.middle_block = nn.ModuleList(
            [
                self._residual(widths[-1], widths[-1]),
                Attention(
                    widths[-1],
                    config.heads(widths[-1]),
                    new_order=config.use_new_attention_order,
                ),
                self._residual(widths[-1], widths[-1]),
            ]
        )
        self.output_blocks = self._way_up(skipped)
        last = nn.Conv2d(widths[0], config.out_channels, 3, padding=1)
        self.out = nn.Sequential(norm(widths[0]), nn.SiLU(), last)

    def _residual(
        self, channels: int, out: int, resampling: Resampling | None = None
    ) -> ResidualBlock:
        return ResidualBlock(
            channels,
            out,
            4 * self.config.num_channels,
            scale_shift=self.config.use_scale_shift_norm,
            resampling=resampling,
        )

    def _attention(self, level: int, *, upsample: bool = False) -> list[nn.Module]:
        """Where the level has it."""
        if level not in self.config.attention_levels:
            return []
        channels = self.config.block_out_channels[level]
        heads = self.config.heads(channels, upsample=upsample)
        return [Attention(channels, heads, new_order=self.config.use_new_attention_order)]

    def _way_down(self) -> tuple[nn.ModuleList, list[int]]:
        """The blocks, and the channels of what each hands on to the way up."""
        config, widths = self.config, self.config.block_out_channels
        channels = widths[0]
        blocks = [nn.ModuleList([Stem(config.in_channels, channels, 3, padding=1)])]
        skipped = [channels]
        for level, out in enumerate(widths):
            for _ in range(config.num_res_blocks):
                blocks.append(
                    nn.ModuleList([self._residual(channels, out), *self._attention(level)])
                )
                channels = out
                skipped.append(channels)
            if level < len(widths) - 1:
                halving: nn.Module = Downsample(channels)
                if config.resblock_updown:
                    halving = self._residual(channels, channels, "down")
                blocks.append(nn.ModuleList([halving]))
                skipped.append(channels)
        return nn.ModuleList(blocks), skipped

    def _way_up(self, skipped: list[int]) -> nn.ModuleList:
        config, widths = self.config, self.config.block_out_channels
        channels, blocks = widths[-1], []
        for level in reversed(range(len(widths))):
            for place in range(config.num_res_blocks + 1):
                out = widths[level]
                layers: list[nn.Module] = [self._residual(channels + skipped.pop(), out)]
                layers += self._attention(level, upsample=True)
                channels = out
                if level > 0 and place == config.num_res_blocks:
                    layers.append(
                        self._residual(channels, channels, "up")
                        if config.resblock_updown
                        else Upsample(channels)
                    )
                blocks.append(nn.ModuleList(layers))
        return nn.ModuleList(blocks)

    def forward(
        self, x: Tensor, t: Tensor, y: Tensor | None = None, *, attend: Attend | None = None
    ) -> Tensor:
        """The raw output.

        Args:
            x: (B, in_channels, H, W), in the precision of the weights.
            t: timesteps, (B,) or a scalar tensor.
            y: class labels, int64 (B,), where the network has classes.
            attend: in place of the attention in the middle.

        Returns:
            (B, out_channels, H, W).
        """
        embedding = self.embedding(x, t, y)
        h, skipped = self.down(x, embedding)
        return self.up(self.middle(h, embedding, attend), skipped, embedding)

    def embedding(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Of timestep and class, (B, 4 num_channels)."""
        of_time = sinusoids(t.expand(len(x)), self.config.num_channels)
        embedding: Tensor = self.time_embed(of_time.to(x))
        return embedding if y is None else embedding + self.label_emb(y)

    def down(self, x: Tensor, embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the middle takes, and what each block hands on to the way up."""
        skipped, h = [], x
        for layers in self.input_blocks:
            assert isinstance(layers, nn.ModuleList)
            h = in_turn(layers, h, embedding)
            skipped.append(h)
        return h, skipped

    def middle(self, h: Tensor, embedding: Tensor, attend: Attend | None = None) -> Tensor:
        """At the lowest resolution."""
        before, attention, after = self.middle_block
        out: Tensor = after(attention(before(h, embedding), embedding, attend), embedding)
        return out

    def up(self, h: Tensor, skipped: list[Tensor], embedding: Tensor) -> Tensor:
        """From the middle to the output; takes out of ``skipped`` what it has used."""
        for layers in self.output_blocks:
            assert isinstance(layers, nn.ModuleList)
            h = in_turn(layers, torch.cat([h, skipped.pop()], dim=1), embedding)
        out: Tensor = self.out(h)
        return out


class ADM(nn.Module):
    """An ADM checkpoint as a function of the state, the timestep and the class.

    Where the network sees patches and does not train, its estimate of x_0 has no part that repeats
    with the patch (:mod:`ilvr_latent.adm.patches`).

    Args:
        unet: the network.
        config: what it is.
    """

    weight_of_x_t: Tensor

    def __init__(self, unet: ADMUNet, config: ADMConfig) -> None:
        super().__init__()
        self.unet = unet
        self.config = config
        self.register_buffer("weight_of_x_t", weights_of_state(config), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.unet.get_parameter("out.2.weight").device

    @property
    def dtype(self) -> torch.dtype:
        """The precision the network computes in."""
        return self.unet.get_parameter("out.2.weight").dtype

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        y: Tensor | None = None,
        *,
        low_res: Tensor | None = None,
        attend: Attend | None = None,
    ) -> Tensor:
        """The network output, before it is read as eps, x_0 or v.

        Args:
            x: the state x_t, (B, C, H, W), any float dtype.
            t: original timesteps (0 .. diffusion_steps - 1), (B,) or a scalar tensor.
            y: class labels, int64 (B,), exactly where the network is class-conditional.
            low_res: for super-resolution networks, the small image, (B, C, h, w).
            attend: in place of the attention in the middle.

        Returns:
            (B, C, H, W), or (B, 2C, H, W) with the variance channels last; fp32.

        Raises:
            InputError: labels or ``low_res`` given where the network has no place for them, or
                missing where it does, or an image size that it cannot halve often enough.
        """
        self._check(x, y, low_res)
        x_t, timesteps = x, t
        if self.config.rescale_timesteps:
            t = t.float() * (1000.0 / self.config.diffusion_steps)
        if low_res is not None:
            x = torch.cat([x, F.interpolate(low_res.to(x), x.shape[-2:], mode="bilinear")], dim=1)
        x = x.to(self.dtype)
        if self.config.patch > 1:
            x = F.pixel_unshuffle(x, self.config.patch)
        out: Tensor = self.unet(x, t, y, attend=attend)
        if self.config.patch > 1:
            out = F.pixel_shuffle(out, self.config.patch)
        out = out.float()
        if self.config.patch > 1 and not self.training:
            weight = self.weight_of_x_t.to(out.device)[timesteps.round().long()]
            out = without_repeated(out, x_t, weight, self.config.patch)
        return out

    def _check(self, x: Tensor, y: Tensor | None, low_res: Tensor | None) -> None:
        classes = self.config.num_classes
        if (y is None) != (classes is None):
            raise InputError(
                "This network is unconditional: leave the class label out."
                if classes is None
                else "This network is class-conditional: give a class label "
                f"from 0 to {classes - 1}."
            )
        if (low_res is None) == self.config.super_resolution:
            raise InputError(
                "This is a super-resolution network: give the small image as low_res."
                if low_res is None
                else "low_res was given, but this is not a super-resolution network: leave it out."
            )
        height, width = x.shape[-2:]
        if height % self.config.downscale or width % self.config.downscale:
            raise InputError(
                f"The image is {width}x{height} pixels, but this network needs sides that are "
                f"a multiple of {self.config.downscale}."
            )
