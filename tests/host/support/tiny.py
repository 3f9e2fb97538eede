"""Networks of ComfyUI's own families, small and with random weights."""

from __future__ import annotations

from typing import Any

import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import torch

SD15: dict[str, Any] = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32,
    "num_res_blocks": [1, 1], "channel_mult": [1, 2], "transformer_depth": [1, 1],
    "transformer_depth_middle": 1, "transformer_depth_output": [1, 1, 1, 1], "context_dim": 16,
    "use_spatial_transformer": True, "use_linear_in_transformer": False, "legacy": False,
    "adm_in_channels": None, "use_temporal_attention": False, "dtype": torch.float32,
}  # fmt: skip
FLUX: dict[str, Any] = {
    "image_model": "flux", "in_channels": 16, "out_channels": 16, "patch_size": 2,
    "vec_in_dim": 8, "context_in_dim": 16, "hidden_size": 48, "mlp_ratio": 2.0, "num_heads": 2,
    "depth": 1, "depth_single_blocks": 1, "axes_dim": [4, 10, 10], "theta": 10000,
    "qkv_bias": True, "guidance_embed": False, "dtype": torch.float32,
}  # fmt: skip
WAN: dict[str, Any] = {
    "image_model": "wan2.1", "model_type": "t2v", "in_dim": 16, "out_dim": 16, "dim": 48,
    "ffn_dim": 64, "freq_dim": 32, "text_dim": 16, "num_heads": 2, "num_layers": 1,
    "dtype": torch.float32,
}  # fmt: skip

# Family: (supported model, configuration, shape of the latent).
FAMILIES: dict[str, tuple[type, dict[str, Any], tuple[int, ...]]] = {
    "sd15": (comfy.supported_models.SD15, SD15, (1, 4, 16, 16)),
    "flux": (comfy.supported_models.Flux, FLUX, (1, 16, 16, 16)),
    "wan": (comfy.supported_models.WAN21_T2V, WAN, (1, 16, 2, 16, 16)),
}


def network(family: str) -> comfy.model_patcher.ModelPatcher:
    """A MODEL of the family; the host leaves weights uninitialised, so all are drawn here."""
    supported, config, _ = FAMILIES[family]
    generator = torch.Generator().manual_seed(0)
    # As the host does: weights are not made in inference mode.
    with torch.inference_mode(False), torch.no_grad():
        model = supported(config).get_model({})
        for parameter in model.parameters():
            scale = 0.5 / max(parameter[0].numel(), 1) ** 0.5 if parameter.ndim > 1 else 0.02
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(model.eval(), device, device)


def prompt(seed: int = 1) -> list[Any]:
    """Random text embeddings."""
    generator = torch.Generator().manual_seed(seed)
    pooled = torch.randn(1, 8, generator=generator)
    return [[torch.randn(1, 7, 16, generator=generator), {"pooled_output": pooled}]]
