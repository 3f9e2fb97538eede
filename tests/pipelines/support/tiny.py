"""Pipelines of diffusers' own families, tiny and with random weights; prompts are embeddings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor

WIDTH = 16
UNET: dict[str, Any] = {
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "sample_size": 16,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": WIDTH,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
SCALED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def kl_vae(channels: int = 4, **config: Any) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(4, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=2,
        sample_size=32,
        **config,
    ).eval()


def text(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


Family = tuple[Any, dict[str, Any]]


def sd() -> Family:
    pipe = diffusers.StableDiffusionPipeline(
        vae=kl_vae(),
        unet=diffusers.UNet2DConditionModel(**UNET).eval(),
        scheduler=diffusers.DDIMScheduler(**SCALED, clip_sample=False, steps_offset=1),
        text_encoder=None, tokenizer=None, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    embeds = {"prompt_embeds": text(1, 7, WIDTH), "negative_prompt_embeds": text(1, 7, WIDTH)}
    return pipe, {**embeds, "guidance_scale": 3.0}


def sd_tiny_vae() -> Family:
    pipe, options = sd()
    vae = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1), scaling_factor=0.7, shift_factor=0.3,
    ).eval()  # fmt: skip
    pipe.register_modules(vae=vae)
    return pipe, options


def sdxl() -> Family:
    unet = diffusers.UNet2DConditionModel(
        **UNET,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=WIDTH + 6 * 8,
        transformer_layers_per_block=1,
    ).eval()
    pipe = diffusers.StableDiffusionXLPipeline(
        vae=kl_vae(), unet=unet, scheduler=diffusers.EulerDiscreteScheduler(**SCALED),
        text_encoder=None, text_encoder_2=None, tokenizer=None, tokenizer_2=None,
        add_watermarker=False,
    )  # fmt: skip
    options = {
        "prompt_embeds": text(1, 7, WIDTH),
        "pooled_prompt_embeds": text(1, WIDTH),
        "negative_prompt_embeds": text(1, 7, WIDTH),
        "negative_pooled_prompt_embeds": text(1, WIDTH),
    }
    return pipe, options


def sd3() -> Family:
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=4, out_channels=4, num_layers=1,
        attention_head_dim=8, num_attention_heads=2, joint_attention_dim=WIDTH,
        caption_projection_dim=16, pooled_projection_dim=WIDTH, pos_embed_max_size=16,
    ).eval()  # fmt: skip
    pipe = diffusers.StableDiffusion3Pipeline(
        vae=kl_vae(shift_factor=0.06, scaling_factor=1.5), transformer=transformer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        text_encoder=None, text_encoder_2=None, text_encoder_3=None,
        tokenizer=None, tokenizer_2=None, tokenizer_3=None,
    )  # fmt: skip
    options = {
        "prompt_embeds": text(1, 7, WIDTH),
        "pooled_prompt_embeds": text(1, WIDTH),
        "negative_prompt_embeds": text(1, 7, WIDTH),
        "negative_pooled_prompt_embeds": text(1, WIDTH),
    }
    return pipe, options


def flux() -> Family:
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
    ).eval()  # fmt: skip
    pipe = diffusers.FluxPipeline(
        vae=kl_vae(shift_factor=0.06, scaling_factor=1.5, use_quant_conv=False,
                   use_post_quant_conv=False),
        transformer=transformer, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        text_encoder=None, text_encoder_2=None, tokenizer=None, tokenizer_2=None,
    )  # fmt: skip
    options = {"prompt_embeds": text(1, 7, WIDTH), "pooled_prompt_embeds": text(1, WIDTH)}
    return pipe, options


def pixart() -> Family:
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=16, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2,
        caption_channels=WIDTH, in_channels=4, out_channels=8, cross_attention_dim=16,
        use_additional_conditions=False,
    ).eval()  # fmt: skip
    pipe = diffusers.PixArtSigmaPipeline(
        vae=kl_vae(), transformer=transformer,
        scheduler=diffusers.DPMSolverMultistepScheduler(**SCALED),
        text_encoder=None, tokenizer=None,
    )  # fmt: skip
    options = {
        "prompt": None,
        "negative_prompt": None,
        "prompt_embeds": text(1, 7, WIDTH),
        "prompt_attention_mask": torch.ones(1, 7),
        "negative_prompt_embeds": text(1, 7, WIDTH),
        "negative_prompt_attention_mask": torch.ones(1, 7),
        "use_resolution_binning": False,
    }
    return pipe, options


def wan() -> Family:
    transformer = diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16,
        out_channels=16, text_dim=WIDTH, freq_dim=16, ffn_dim=16, num_layers=1,
        cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    ).eval()  # fmt: skip
    vae = diffusers.AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
        temperal_downsample=[False, True, True],
    ).eval()  # fmt: skip
    pipe = diffusers.WanPipeline(
        vae=vae, transformer=transformer, text_encoder=None, tokenizer=None,
        scheduler=diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
    )  # fmt: skip
    embeds = {"prompt_embeds": text(1, 7, WIDTH), "negative_prompt_embeds": text(1, 7, WIDTH)}
    return pipe, {**embeds, "height": 64, "width": 64, "num_frames": 9}


FAMILIES: dict[str, Callable[[], Family]] = {
    "sd": sd, "sd_tiny_vae": sd_tiny_vae, "sdxl": sdxl, "sd3": sd3, "flux": flux,
    "pixart": pixart, "wan": wan,
}  # fmt: skip


def family(name: str) -> Family:
    """A pipeline and what to call it with; the same weights every time."""
    torch.manual_seed(0)
    pipe, options = FAMILIES[name]()
    pipe.set_progress_bar_config(disable=True)
    return pipe, options


WORDS = ("a", "red", "cat", "dog")


def saved_sd(folder: Path) -> Path:
    """A StableDiffusionPipeline on disk, with a text encoder and a tokenizer of four words."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = sorted({letter for word in WORDS for letter in word})
    merges = ["r e", "re d</w>", "c a", "ca t</w>", "d o", "do g</w>"]
    parts = [*letters, *(f"{letter}</w>" for letter in letters)]
    parts += [merge.replace(" ", "") for merge in merges]
    parts += ["<|startoftext|>", "<|endoftext|>"]
    tokens = {part: number for number, part in enumerate(parts)}
    (folder / "vocab.json").write_text(json.dumps(tokens))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16
    )
    config = CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=16, projection_dim=WIDTH,
        bos_token_id=len(tokens) - 2, eos_token_id=len(tokens) - 1, pad_token_id=len(tokens) - 1,
    )  # fmt: skip
    pipe, _ = family("sd")
    pipe.register_modules(text_encoder=CLIPTextModel(config).eval(), tokenizer=tokenizer)
    pipe.save_pretrained(folder / "sd")
    return folder / "sd"
