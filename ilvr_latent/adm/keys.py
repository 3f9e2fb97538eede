"""guided-diffusion's parameter names against those of diffusers' ``UNet2DModel``.

One table, :func:`modules`, serves both directions: loading a published checkpoint and writing
one from a network that was trained here.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor

from .config import ADMConfig

Pair = tuple[str, str]

RESNET: tuple[Pair, ...] = (
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
)
STEM: tuple[Pair, ...] = (
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb", "class_embedding"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
)


def _resnet(guided: str, diffusers: str) -> Iterator[Pair]:
    for ours, theirs in RESNET:
        yield f"{guided}.{ours}", f"{diffusers}.{theirs}"


def attentions(config: ADMConfig) -> Iterator[tuple[str, str, int]]:
    """(guided name, diffusers name, heads) of every attention layer."""
    widths, last = config.block_out_channels, len(config.channel_mult) - 1
    block = 1
    for level, width in enumerate(widths):
        for layer in range(config.num_res_blocks):
            if level in config.attention_levels:
                name = f"down_blocks.{level}.attentions.{layer}"
                yield f"input_blocks.{block}.1", name, config.heads(width)
            block += 1
        block += 1
    yield "middle_block.1", "mid_block.attentions.0", config.heads(widths[-1])
    block = 0
    for level in reversed(range(len(widths))):
        for layer in range(config.num_res_blocks + 1):
            if level in config.attention_levels:
                name = f"up_blocks.{last - level}.attentions.{layer}"
                yield f"output_blocks.{block}.1", name, config.heads(widths[level], upsample=True)
            block += 1


def modules(config: ADMConfig) -> Iterator[Pair]:
    """(guided name, diffusers name) of every module with parameters, attention left out."""
    yield from STEM
    levels = len(config.channel_mult)
    block = 1
    for level in range(levels):
        for layer in range(config.num_res_blocks):
            yield from _resnet(f"input_blocks.{block}.0", f"down_blocks.{level}.resnets.{layer}")
            block += 1
        if level < levels - 1:
            name = f"down_blocks.{level}.downsamplers.0"
            if config.resblock_updown:
                yield from _resnet(f"input_blocks.{block}.0", name)
            else:
                yield f"input_blocks.{block}.0.op", f"{name}.conv"
            block += 1
    yield from _resnet("middle_block.0", "mid_block.resnets.0")
    yield from _resnet("middle_block.2", "mid_block.resnets.1")
    block = 0
    for level in reversed(range(levels)):
        up = f"up_blocks.{levels - 1 - level}"
        for layer in range(config.num_res_blocks + 1):
            yield from _resnet(f"output_blocks.{block}.0", f"{up}.resnets.{layer}")
            block += 1
        if level > 0:
            position = 2 if level in config.attention_levels else 1
            name = f"output_blocks.{block - 1}.{position}"
            if config.resblock_updown:
                yield from _resnet(name, f"{up}.upsamplers.0")
            else:
                yield f"{name}.conv", f"{up}.upsamplers.0.conv"


def _split_qkv(qkv: Tensor, heads: int, config: ADMConfig) -> tuple[Tensor, ...]:
    """Rows of the fused q, k, v, shape (3C, ...), as three tensors of shape (C, ...)."""
    if config.use_new_attention_order:
        return qkv.chunk(3)
    return tuple(rearrange(qkv, "(h three c) ... -> three (h c) ...", h=heads, three=3))


def _join_qkv(q_k_v: tuple[Tensor, ...], heads: int, config: ADMConfig) -> Tensor:
    if config.use_new_attention_order:
        return torch.cat(q_k_v)
    return rearrange(list(q_k_v), "three (h c) ... -> (h three c) ...", h=heads)


def to_diffusers(state_dict: dict[str, Tensor], config: ADMConfig) -> dict[str, Tensor]:
    """A guided-diffusion state dict under diffusers' names.

    Args:
        state_dict: every parameter of the network, as guided-diffusion names it.
        config: what the network is; its heads decide how q, k and v lie in the fused weight.

    Returns:
        A new dict; the tensors share memory with the given ones where they can.
    """
    converted: dict[str, Tensor] = {}
    for guided, ours in modules(config):
        for leaf in ("weight", "bias"):
            if f"{guided}.{leaf}" in state_dict:
                converted[f"{ours}.{leaf}"] = state_dict[f"{guided}.{leaf}"]
    for guided, ours, heads in attentions(config):
        for leaf in ("weight", "bias"):
            converted[f"{ours}.group_norm.{leaf}"] = state_dict[f"{guided}.norm.{leaf}"]
            # A convolution over one position, (out, in, 1), is a linear layer, (out, in).
            flat = {
                name: state_dict[f"{guided}.{name}.{leaf}"].flatten(1)
                if leaf == "weight"
                else state_dict[f"{guided}.{name}.{leaf}"]
                for name in ("qkv", "proj_out")
            }
            for name, part in zip(
                ("to_q", "to_k", "to_v"), _split_qkv(flat["qkv"], heads, config), strict=True
            ):
                converted[f"{ours}.{name}.{leaf}"] = part
            converted[f"{ours}.to_out.0.{leaf}"] = flat["proj_out"]
    return converted


def to_guided(state_dict: dict[str, Tensor], config: ADMConfig) -> dict[str, Tensor]:
    """The inverse of :func:`to_diffusers`: what guided-diffusion itself would have saved."""
    converted: dict[str, Tensor] = {}
    for guided, ours in modules(config):
        for leaf in ("weight", "bias"):
            if f"{ours}.{leaf}" in state_dict:
                converted[f"{guided}.{leaf}"] = state_dict[f"{ours}.{leaf}"]
    for guided, ours, heads in attentions(config):
        for leaf in ("weight", "bias"):
            converted[f"{guided}.norm.{leaf}"] = state_dict[f"{ours}.group_norm.{leaf}"]
            q_k_v = tuple(state_dict[f"{ours}.{name}.{leaf}"] for name in ("to_q", "to_k", "to_v"))
            qkv, proj_out = _join_qkv(q_k_v, heads, config), state_dict[f"{ours}.to_out.0.{leaf}"]
            if leaf == "weight":
                qkv, proj_out = qkv[..., None], proj_out[..., None]
            converted[f"{guided}.qkv.{leaf}"] = qkv
            converted[f"{guided}.proj_out.{leaf}"] = proj_out
    return converted
