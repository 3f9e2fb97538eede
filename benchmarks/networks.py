"""Networks of real size with random weights: speed does not depend on what they have learned."""

from __future__ import annotations

import torch

from ilvr_latent import inspect_checkpoint
from ilvr_latent.adm.config import ADMConfig
from ilvr_latent.adm.unet import ADM, ADMUNet
from ilvr_latent.embedded import PIXEL_MODEL

# The authors' ffhq_10m and its siblings.
CONFIG_256 = ADMConfig(
    image_size=256,
    num_channels=128,
    num_res_blocks=1,
    channel_mult=(1, 1, 2, 2, 4, 4),
    attention_levels=(4,),
    num_head_channels=64,
    resblock_updown=True,
    learn_sigma=True,
    noise_schedule="linear",
)

# Of the same kind, small: what a loop adds shows where the network takes little.
CONFIG_64 = ADMConfig(
    image_size=64,
    num_channels=32,
    num_res_blocks=1,
    channel_mult=(1, 2, 3, 4),
    attention_levels=(2, 3),
    num_head_channels=32,
    resblock_updown=True,
    learn_sigma=True,
    noise_schedule="linear",
)


def embedded_config() -> ADMConfig:
    """What the embedded 64x64 model is."""
    config = inspect_checkpoint(PIXEL_MODEL).config
    assert config is not None
    return config


def random_network(
    config: ADMConfig,
    *,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.channels_last,
) -> ADM:
    """The network of a configuration, with the same random weights every time."""
    torch.manual_seed(0)
    model = ADM(ADMUNet(config), config).eval().requires_grad_(False)
    # torch types Module.to without its memory_format.
    model.to(dtype=dtype, memory_format=memory_format)  # type: ignore[call-overload]
    return model
