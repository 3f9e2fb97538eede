"""The text encoder of the embedded latent model as a CLIP: the host's own, in small."""

from __future__ import annotations

import logging
import re
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
from ...ilvr_latent.phrases import Phrase
from ...ilvr_latent.shipped import LATENT_WORDS
from ..readout import show
from .demo_files import read_config, read_weights

logger = logging.getLogger(__name__)

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


class KnownWords(comfy.sd1_clip.SDTokenizer):
    """The host's tokenizer, which says what words no caption had.

    Args:
        node_id: of the node that says it.
        **kwargs: of the host's.
    """

    def __init__(self, node_id: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._node_id = node_id
        self._known = frozenset(LATENT_WORDS.read_text(encoding="utf-8").split())

    def tokenize_with_weights(self, text: str, *args: Any, **kwargs: Any) -> Any:
        """Tokens as ever."""
        words = re.findall(r"[a-z]{2,}", re.sub(r"embedding:\S+", "", text.lower()))
        unknown = [word for word in dict.fromkeys(words) if word not in self._known]
        if unknown:
            said = Phrase("Words that this model does not know: {words}.", words=", ".join(unknown))
            logger.warning("Load Demo Model: %s", said)
            show(self._node_id, said)
        return super().tokenize_with_weights(text, *args, **kwargs)


def demo_clip(folder: Path, node_id: str | None = None) -> comfy.sd.CLIP:
    """The CLIP: 16 tokens at a time, emphasis and longer prompts as the host handles them.

    Args:
        folder: of the whole model.
        node_id: of the node that says which words of a prompt it does not know.

    Raises:
        InputError: a file is missing or damaged.
    """
    config = read_config(folder, "text_encoder")
    weights = _in_the_hosts_words(read_weights(folder, "text_encoder"))
    clip = comfy.sd.CLIP(
        comfy.supported_models_base.ClipTarget(
            partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=_tokenizer(folder, config, node_id)),
            partial(comfy.sd1_clip.SD1ClipModel, clip_model=_encoder(config)),
        ),
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        parameters=comfy.utils.calculate_parameters(weights),
    )
    clip.load_sd(weights)
    return clip


def _tokenizer(folder: Path, config: dict[str, Any], node_id: str | None) -> partial[Any]:
    return partial(
        KnownWords,
        node_id,
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
