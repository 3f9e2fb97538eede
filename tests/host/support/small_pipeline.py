"""A Stable Diffusion pipeline in small: the embedded one's layout with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

WIDTH, TOKENS, SCALE = 64, 16, 1.3
MERGES = ("r e", "re d</w>", "a p", "p l", "pl e</w>", "ap ple</w>")


def write(folder: Path) -> Path:
    """Make the folder."""
    torch.manual_seed(0)
    # As its authors do: weights are not made in inference mode.
    with torch.inference_mode(False), torch.no_grad():
        size = _tokenizer(folder / "tokenizer")
        _text_encoder(size).half().save_pretrained(folder / "text_encoder")
        _unet().half().save_pretrained(folder / "unet")
        AutoencoderTiny(scaling_factor=SCALE).half().save_pretrained(folder / "vae")
    return folder


def _unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
    )


def _text_encoder(size: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=size, hidden_size=WIDTH, intermediate_size=2 * WIDTH, projection_dim=WIDTH,
        num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=TOKENS,
        bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    model = CLIPTextModel(config)
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def _tokenizer(folder: Path) -> int:
    """Write the files; letters, and the words "red" and "apple"."""
    begin, end = "<|startoftext|>", "<|endoftext|>"
    letters = "abcdefghijklmnopqrstuvwxyz,"
    words = [begin, end, *letters, *(f"{letter}</w>" for letter in letters)]
    words += [merge.replace(" ", "") for merge in MERGES]
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS}
    settings |= {"unk_token": end, "bos_token": begin, "eos_token": end, "pad_token": end}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(words)
