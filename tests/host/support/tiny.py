"""Networks of ComfyUI's own families, small and with random weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import comfy.ldm.flux.model
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import torch
from torch import nn

SD15: dict[str, Any] = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32,
    "num_res_blocks": [1, 1], "channel_mult": [1, 2], "transformer_depth": [1, 1],
    "transformer_depth_middle": 1, "transformer_depth_output": [1, 1, 1, 1], "context_dim": 16,
    "use_spatial_transformer": True, "use_linear_in_transformer": False, "legacy": False,
    "adm_in_channels": None, "use_temporal_attention": False, "dtype": torch.float32,
}  # fmt: skip
_FLUX_FIELDS = {field.name for field in dataclasses.fields(comfy.ldm.flux.model.FluxParams)}
FLUX: dict[str, Any] = {
    "image_model": "flux", "in_channels": 16, "out_channels": 16, "patch_size": 2,
    "vec_in_dim": 8, "context_in_dim": 16, "hidden_size": 48, "mlp_ratio": 2.0, "num_heads": 2,
    "depth": 1, "depth_single_blocks": 1, "axes_dim": [4, 10, 10], "theta": 10000,
    "qkv_bias": True, "guidance_embed": False, "dtype": torch.float32,
    # Of newer versions.
    **({"txt_ids_dims": []} if "txt_ids_dims" in _FLUX_FIELDS else {}),
}  # fmt: skip
WAN: dict[str, Any] = {
    "image_model": "wan2.1", "model_type": "t2v", "in_dim": 16, "out_dim": 16, "dim": 48,
    "ffn_dim": 64, "freq_dim": 32, "text_dim": 16, "num_heads": 2, "num_layers": 1,
    "dtype": torch.float32,
}  # fmt: skip
SD3: dict[str, Any] = {
    "in_channels": 16, "pos_embed_scaling_factor": None, "input_size": None, "patch_size": 2,
    "depth": 1, "adm_in_channels": 8, "pos_embed_max_size": 16, "num_patches": 256,
    "context_embedder_config": {
        "target": "torch.nn.Linear", "params": {"in_features": 16, "out_features": 64},
    },
    "qk_norm": "rms", "dtype": torch.float32,
}  # fmt: skip
LUMINA2: dict[str, Any] = {
    "image_model": "lumina2", "patch_size": 2, "in_channels": 16, "dim": 48, "cap_feat_dim": 16,
    "n_layers": 1, "n_refiner_layers": 1, "qk_norm": True, "n_heads": 2, "n_kv_heads": 1,
    "axes_dims": [8, 8, 8], "axes_lens": [64, 64, 64], "multiple_of": 16, "dtype": torch.float32,
}  # fmt: skip

# Family: (supported model, configuration, shape of the latent).
FAMILIES: dict[str, tuple[type, dict[str, Any], tuple[int, ...]]] = {
    "sd15": (comfy.supported_models.SD15, SD15, (1, 4, 16, 16)),
    "flux": (comfy.supported_models.Flux, FLUX, (1, 16, 16, 16)),
    "sd3": (comfy.supported_models.SD3, SD3, (1, 16, 16, 16)),
    "lumina2": (comfy.supported_models.Lumina2, LUMINA2, (1, 16, 16, 16)),
    "wan": (comfy.supported_models.WAN21_T2V, WAN, (1, 16, 2, 16, 16)),
}


def network(family: str) -> comfy.model_patcher.ModelPatcher:
    """A MODEL of the family."""
    supported, config, _ = FAMILIES[family]
    # As the host does: weights are not made in inference mode.
    with torch.inference_mode(False), torch.no_grad():
        model = supported(config).get_model({})
        with_random_weights(model.diffusion_model)
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(model.eval(), device, device)


def with_random_weights(module: nn.Module) -> None:
    """The host leaves weights and position tables uninitialised, so all are drawn here."""
    generator = torch.Generator().manual_seed(0)
    for parameter in (*module.parameters(), *module.buffers()):
        scale = 1.0 / max(parameter[0].numel(), 1) ** 0.5 if parameter.ndim > 1 else 0.02
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    module.eval()


def prompt(seed: int = 1, family: str = "sd15") -> list[Any]:
    """Random text embeddings."""
    generator = torch.Generator().manual_seed(seed)
    pooled = torch.randn(1, 8, generator=generator)
    extra: dict[str, Any] = {"pooled_output": pooled}
    if family == "lumina2":
        extra["attention_mask"] = torch.ones(1, 7, dtype=torch.int64)
    return [[torch.randn(1, 7, 16, generator=generator), extra]]


def controlnet() -> Any:
    """A CONTROL_NET for the SD UNet above."""
    import comfy.cldm.cldm
    import comfy.controlnet

    options = {k: v for k, v in SD15.items() if k not in ("out_channels", "use_temporal_attention")}
    with torch.inference_mode(False), torch.no_grad():
        network = comfy.cldm.cldm.ControlNet(hint_channels=3, num_heads=8, **options)
        with_random_weights(network)
    device = comfy.model_management.get_torch_device()
    return comfy.controlnet.ControlNet(network, load_device=device)


def lora(model: Any, rank: int = 2) -> tuple[dict[str, torch.Tensor], int]:
    """A LoRA file for all attention projections of ``model``, and how many weights it changes."""
    import comfy.lora

    generator = torch.Generator().manual_seed(3)
    weights, file, changed = model.model.state_dict(), {}, 0
    for name, key in comfy.lora.model_lora_keys_unet(model.model, {}).items():
        if name.startswith("lora_unet_") and "_attn" in name and "down_blocks" in name:
            out, into = weights[key].flatten(1).shape
            file[f"{name}.lora_up.weight"] = torch.randn(out, rank, generator=generator) * 0.3
            file[f"{name}.lora_down.weight"] = torch.randn(rank, into, generator=generator) * 0.3
            file[f"{name}.alpha"] = torch.tensor(float(rank))
            changed += 1
    return file, changed
