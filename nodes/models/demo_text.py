"""The text encoder of the embedded latent model as a CLIP: the host's own, in small."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import comfy.clip_model
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.utils
import folder_paths
import torch
from torch import Tensor

from ...ilvr_latent import InputError
from .demo_files import read_config, read_weights

PREFIX = "text_model."


class SmallCLIP(comfy.clip_model.CLIPTextModel):
    """CLIP's text model with a vocabulary of its own; the host's has always 49408 tokens."""

    def __init__(
        self, config: dict[str, Any], dtype: torch.dtype, device: torch.device, operations: Any
    ) -> None:
        super().__init__(config, dtype, device, operations)
        size = config["vocab_size"], config["hidden_size"]
        self.set_input_embeddings(operations.Embedding(*size, dtype=dtype, device=device))


class NoPrompt:
    """What the CLIP output gives for a model that takes no prompt: an error with the remedy."""

    def tokenize(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse; this is what text nodes call first."""
        raise InputError(
            "The demo model 'pixels' takes no prompt; connect ADM Class Label (-1) in place of "
            "the prompts, or choose 'text to image (latent)'."
        )

    # What LoRA loaders and CLIP Set Last Layer call first.
    clone = tokenize


def demo_clip(folder: Path) -> comfy.sd.CLIP:
    """The CLIP: 16 tokens at a time, emphasis and longer prompts as the host handles them.

    Args:
        folder: of the whole model.

    Raises:
        InputError: a file is missing or damaged.
    """
    config = read_config(folder, "text_encoder")
    weights = _in_the_hosts_words(read_weights(folder, "text_encoder"))
    clip = comfy.sd.CLIP(
        comfy.supported_models_base.ClipTarget(
            partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=_tokenizer(folder, config)),
            partial(comfy.sd1_clip.SD1ClipModel, clip_model=_encoder(config)),
        ),
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        parameters=comfy.utils.calculate_parameters(weights),
    )
    clip.load_sd(weights)
    return clip


def _tokenizer(folder: Path, config: dict[str, Any]) -> partial[Any]:
    return partial(
        comfy.sd1_clip.SDTokenizer,
        tokenizer_path=str(folder / "tokenizer"),
        max_length=config["max_position_embeddings"],
        embedding_size=config["hidden_size"],
    )


def _encoder(config: dict[str, Any]) -> partial[Any]:
    return partial(
        comfy.sd1_clip.SDClipModel,
        max_length=config["max_position_embeddings"],
        textmodel_json_config=config,
        model_class=SmallCLIP,
        special_tokens={
            "start": config["bos_token_id"],
            "end": config["eos_token_id"],
            "pad": config["pad_token_id"],
        },
        return_projected_pooled=False,
    )


def _in_the_hosts_words(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """With the prefix that not every version of transformers writes, and a projection.

    The host has room for CLIP's projection, which this model has no use for, and would leave it
    uninitialised.
    """
    named = {PREFIX + key.removeprefix(PREFIX): value for key, value in weights.items()}
    width = named["text_model.final_layer_norm.weight"].numel()
    return named | {"text_projection.weight": torch.eye(width)}
