"""The ADM network: diffusers' ``UNet2DModel`` with what its constructor cannot say."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn

from ..errors import InputError
from .config import ADMConfig
from .keys import attentions


class ADMUNet(UNet2DModel):
    """``UNet2DModel`` laid out as guided-diffusion's ``UNetModel``.

    Three things are set after construction, for which diffusers has no argument: the number of
    heads of each attention layer (several widths may share one number, and the way up may have
    its own), a time embedding that is wider or narrower than the first level, and the norm of
    the middle attention. Everything follows from one :class:`ADMConfig`, which is stored in the
    diffusers config, so ``save_pretrained`` and ``from_pretrained`` keep it.

    Args:
        adm: the fields of an :class:`ADMConfig`, as a plain dict.
    """

    @register_to_config
    def __init__(self, adm: dict[str, Any]) -> None:
        config = ADMConfig.from_dict(adm)
        kind = "resnet" if config.resblock_updown else "conv"
        plain_down = "ResnetDownsampleBlock2D" if config.resblock_updown else "DownBlock2D"
        plain_up = "ResnetUpsampleBlock2D" if config.resblock_updown else "UpBlock2D"
        attend = [level in config.attention_levels for level in range(len(config.channel_mult))]
        super().__init__(
            sample_size=config.image_size // config.patch,
            in_channels=config.in_channels,
            out_channels=config.out_channels,
            time_embedding_dim=4 * config.num_channels,
            down_block_types=tuple("AttnDownBlock2D" if a else plain_down for a in attend),
            up_block_types=tuple("AttnUpBlock2D" if a else plain_up for a in reversed(attend)),
            block_out_channels=config.block_out_channels,
            layers_per_block=config.num_res_blocks,
            downsample_type=kind,
            upsample_type=kind,
            attention_head_dim=None,
            norm_num_groups=32,
            attn_norm_num_groups=32,
            resnet_time_scale_shift="scale_shift" if config.use_scale_shift_norm else "default",
            num_class_embeds=config.num_classes,
        )
        if config.block_out_channels[0] != config.num_channels:
            width = config.num_channels
            self.time_proj = Timesteps(width, flip_sin_to_cos=True, downscale_freq_shift=0)
            self.time_embedding = TimestepEmbedding(width, 4 * width)
        for _, name, heads in attentions(config):
            layer = self.get_submodule(name)
            layer.heads = heads
            layer.scale = (layer.inner_dim // heads) ** -0.5

    @classmethod
    def extract_init_dict(
        cls, config_dict: dict[str, Any], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Keep our own argument only: the parent's follow from it and would each be warned of."""
        own = inspect.signature(cls.__init__).parameters
        kept = {k: v for k, v in config_dict.items() if k in own or k.startswith("_")}
        return super().extract_init_dict(kept, **kwargs)  # type: ignore[no-any-return]


class ADM(nn.Module):
    """An ADM checkpoint as a function of the state, the timestep and the class.

    Args:
        unet: the network.
        config: what it is.
    """

    def __init__(self, unet: ADMUNet, config: ADMConfig) -> None:
        super().__init__()
        self.unet = unet
        self.config = config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.unet.conv_in.weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The precision the network computes in."""
        dtype: torch.dtype = self.unet.conv_in.weight.dtype
        return dtype

    def forward(
        self, x: Tensor, t: Tensor, y: Tensor | None = None, *, low_res: Tensor | None = None
    ) -> Tensor:
        """The raw network output, before it is read as eps, x_0 or v.

        Args:
            x: the state x_t, (B, C, H, W), any float dtype.
            t: original timesteps (0 .. diffusion_steps - 1), (B,) or a scalar tensor.
            y: class labels, int64 (B,), exactly where the network is class-conditional.
            low_res: for super-resolution networks, the small image, (B, C, h, w).

        Returns:
            (B, C, H, W), or (B, 2C, H, W) with the variance channels last; fp32.

        Raises:
            InputError: labels or ``low_res`` given where the network has no place for them, or
                missing where it does, or an image size that it cannot halve often enough.
        """
        self._check(x, y, low_res)
        if self.config.rescale_timesteps:
            t = t.float() * (1000.0 / self.config.diffusion_steps)
        if low_res is not None:
            x = torch.cat([x, F.interpolate(low_res.to(x), x.shape[-2:], mode="bilinear")], dim=1)
        x = x.to(self.dtype)
        if self.config.patch > 1:
            x = F.pixel_unshuffle(x, self.config.patch)
        out: Tensor = self.unet(x, t, class_labels=y, return_dict=False)[0]
        if self.config.patch > 1:
            out = F.pixel_shuffle(out, self.config.patch)
        return out.float()

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
