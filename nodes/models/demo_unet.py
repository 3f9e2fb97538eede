"""The UNet of the embedded latent model as a MODEL: Stable Diffusion 1 in small, by v-prediction.

diffusers wrote the weights. The host has the same network under the names of the first Stable
Diffusion code, and its own table of names, which its LoRA loaders read as well.

z       what the autoencoder gives
s z     what is sampled, of unit variance; s is the autoencoder's scaling factor
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.latent_formats
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import comfy.utils
import torch
from comfy.model_base import ModelType
from torch import Tensor

from .demo_files import read_config, read_weights

# The first three channels of z are about this times the mean colours, in [-1, 1], of their cells:
# the autoencoder was trained so (training/train_autoencoder.py).
COLOUR_SCALE = 1.5


class DemoLatent(comfy.latent_formats.LatentFormat):
    """Latents of the embedded autoencoder; previews show the mean colours of the cells.

    Args:
        scale_factor: of what is sampled to what the autoencoder gives.
        latent_channels: of both.
    """

    def __init__(self, scale_factor: float = 1.0, latent_channels: int = 8) -> None:
        self.scale_factor = scale_factor
        self.latent_channels = latent_channels
        colours = torch.eye(self.latent_channels, 3) / (COLOUR_SCALE * scale_factor)
        self.latent_rgb_factors = colours.tolist()


class DemoConfig(comfy.supported_models.SD15):
    """What the host keeps about this kind of model.

    Args:
        unet_config: the network in the host's words.
        scale_factor: of the latents.
    """

    unet_config: dict[str, Any] = {}  # noqa: RUF012
    unet_extra_config: dict[str, Any] = {}  # noqa: RUF012
    latent_format = DemoLatent

    def __init__(self, unet_config: dict[str, Any], scale_factor: float) -> None:
        super().__init__(unet_config)
        self.latent_format = DemoLatent(scale_factor, unet_config["in_channels"])

    def inpaint_model(self) -> bool:
        """More than four channels are no mask here."""
        return False

    def model_type(self, state_dict: dict[str, Tensor], prefix: str = "") -> ModelType:
        """The network predicts v."""
        return ModelType.V_PREDICTION


def demo_unet(folder: Path) -> comfy.model_patcher.ModelPatcher:
    """The MODEL, on the device where the host keeps what is not in use.

    Args:
        folder: of the whole model.

    Raises:
        InputError: a file is missing or damaged.
    """
    weights = read_weights(folder, "unet")
    unet_config = _in_the_hosts_words(read_config(folder, "unet"))
    config = DemoConfig(unet_config, read_config(folder, "vae")["scaling_factor"])
    device = comfy.model_management.get_torch_device()
    offload = comfy.model_management.unet_offload_device()
    _choose_precision(config, weights, device)
    model = config.get_model(weights, device=offload)
    names = comfy.utils.unet_to_diffusers(unet_config)
    model.diffusion_model.load_state_dict({names[key]: value for key, value in weights.items()})
    return comfy.model_patcher.ModelPatcher(model, device, offload)


def _choose_precision(config: DemoConfig, weights: dict[str, Tensor], device: torch.device) -> None:
    """As the host chooses it for a checkpoint, so that its command line decides here too."""
    supported = config.supported_inference_dtypes
    dtype = comfy.model_management.unet_dtype(
        model_params=comfy.utils.calculate_parameters(weights),
        supported_dtypes=supported,
        weight_dtype=comfy.utils.weight_dtype(weights),
    )
    cast = comfy.model_management.unet_manual_cast(dtype, device, supported)
    config.set_inference_dtype(dtype, cast)


def _in_the_hosts_words(diffusers: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the host's UNet from those of diffusers' UNet2DConditionModel."""
    widths, layers = diffusers["block_out_channels"], diffusers["layers_per_block"]
    transformers = [int(kind == "CrossAttnDownBlock2D") for kind in diffusers["down_block_types"]]
    return {
        "image_size": diffusers["sample_size"],
        "in_channels": diffusers["in_channels"],
        "out_channels": diffusers["out_channels"],
        "model_channels": widths[0],
        "channel_mult": [width // widths[0] for width in widths],
        "num_res_blocks": [layers] * len(widths),
        "transformer_depth": [depth for depth in transformers for _ in range(layers)],
        "transformer_depth_middle": 1,
        "transformer_depth_output": [depth for depth in transformers for _ in range(layers + 1)],
        "context_dim": diffusers["cross_attention_dim"],
        # diffusers keeps this name for the sake of old files: it is the number of heads.
        "num_heads": diffusers["attention_head_dim"],
        "num_head_channels": -1,
        "use_spatial_transformer": True,
        "use_linear_in_transformer": diffusers["use_linear_projection"],
        "use_temporal_attention": False,
        "adm_in_channels": None,
        "legacy": False,
    }
