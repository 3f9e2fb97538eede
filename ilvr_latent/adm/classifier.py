"""guided-diffusion classifier checkpoints: detection, flags, loading (arXiv 2105.05233)."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, about
from .classifier_network import ADMClassifier, ClassifierConfig, Pool
from .detect import Shapes, verify
from .weights import check_file, check_finite, expanded, read_weights

# guided-diffusion's script gives its classifiers of this width heads of 64 channels.
PUBLISHED_WIDTH, PUBLISHED_HEAD_CHANNELS = 128, 64
OUTPUT: dict[Pool, str] = {
    "attention": "out.2.c_proj.weight",
    "spatial_v2": "out.3.weight",
    "adaptive": "out.3.weight",
    "spatial": "out.2.weight",
}


def adm_classifier(config: Mapping[str, Any], state_dict: Mapping[str, Tensor]) -> ADMClassifier:
    """A classifier from what it is and its weights.

    Args:
        config: the fields of :class:`.ClassifierConfig`.
        state_dict: under guided-diffusion's names.

    Returns:
        (x, t) to logits (B, K), differentiable in x, in eval mode and without gradients of its own.

    Raises:
        InputError: the weights do not fit the configuration, or a field can't be.
    """
    known = {field.name for field in dataclasses.fields(ClassifierConfig)}
    foreign = [name for name in config if name not in known]
    if foreign:
        raise InputError(f"A classifier has no {foreign[0]!r}; use {', '.join(sorted(known))}.")
    given: dict[str, Any] = {name: _hashable(value) for name, value in config.items()}
    with torch.device("meta"):
        network = ADMClassifier(ClassifierConfig(**given))
    verify(_shapes(state_dict), _shapes(network.state_dict()))
    network.load_state_dict(dict(state_dict), assign=True)
    return network.eval().requires_grad_(False)


def load_adm_classifier(
    path: str | PathLike[str], *, device: str | torch.device = "cpu", **flags: Any
) -> ADMClassifier:
    """Load a classifier of openai/guided-diffusion, or one trained with its script.

    Args:
        path: a ``.pt`` or safetensors file; no code in it is run.
        device: where the network shall be.
        **flags: fields of :class:`.ClassifierConfig`; only what the file does not tell is needed.

    Returns:
        See :func:`adm_classifier`; fp32.

    Raises:
        InputError: the file cannot be used, a flag contradicts it, or flags are missing, by name.
    """
    path = expanded(path)
    check_file(path)
    # Not in a host's inference mode: a guide takes gradients through these.
    with about(path), torch.inference_mode(False):
        tensors = read_weights(path).tensors
        check_finite(tensors, path)
        config = detect_classifier(_shapes(tensors), flags)
        weights = {name: t.to(device, torch.float32, copy=True) for name, t in tensors.items()}
        return adm_classifier(dataclasses.asdict(config), weights)


def detect_classifier(shapes: Shapes, flags: Mapping[str, Any]) -> ClassifierConfig:
    """What a classifier is, from its keys and shapes and what the user says.

    Raises:
        InputError: these are not the tensors of one, a flag contradicts them, or flags are missing.
    """
    needed = ("time_embed.0.weight", "input_blocks.0.0.weight", "middle_block.1.qkv.weight")
    if any(key not in shapes for key in needed) or any("output_blocks." in key for key in shapes):
        raise InputError(
            "These are not the tensors of a guided-diffusion classifier; give a file such as "
            "256x256_classifier.pt (the diffusion model itself is loaded with load_adm)."
        )
    width, pool = shapes["time_embed.0.weight"][1], _pool(shapes)
    output = OUTPUT[pool]
    if output not in shapes:
        raise InputError(f"The classifier has no {output}; give the unchanged file.")
    depth, levels = _levels(shapes, flags)
    patch = flags.get("patch") or 1
    told: dict[str, Any] = {
        "width": width,
        "depth": depth,
        "channel_mult": tuple(_ratio(channels, width) for channels in levels),
        "attention_downsampling": _attention(shapes, depth, len(levels)),
        "pool": pool,
        "use_scale_shift_norm": shapes["middle_block.0.emb_layers.1.weight"][0] == 2 * levels[-1],
        "resblock_updown": not any(".op." in key for key in shapes),
        "num_classes": shapes[output][0],
        "in_channels": _channels_of_pictures(shapes["input_blocks.0.0.weight"][1], patch),
    }
    if pool == "attention":
        places = shapes["out.2.positional_embedding"][1] - 1
        told["image_size"] = math.isqrt(places) * (patch << (len(levels) - 1))
    given = {name: _hashable(value) for name, value in flags.items() if value is not None}
    for name, value in given.items():
        if name in told and told[name] != value:
            raise InputError(
                f"{name}={value} was given, but the file has {name}={told[name]}: leave the flag "
                "out, or check that this is the right file."
            )
    if width == PUBLISHED_WIDTH:
        told["num_head_channels"] = PUBLISHED_HEAD_CHANNELS
    _require(told | given)
    return ClassifierConfig(**told | given)


def _channels_of_pictures(channels: int, patch: int) -> int:
    if patch < 1 or channels % patch**2:
        raise InputError(
            f"patch={patch} was given, but the classifier takes {channels} channels, which is not "
            f"a multiple of {patch}x{patch}; leave the flag out, or check that this is the right "
            "file."
        )
    return channels // patch**2


def _require(known: Mapping[str, Any]) -> None:
    hints = {
        "num_head_channels": "num_head_channels (64 in guided-diffusion's script)",
        "image_size": "image_size (64, 128, 256 or 512)",
    }
    missing = [hint for name, hint in hints.items() if name not in known]
    if missing:
        raise InputError(
            "The file does not tell everything about this classifier; give "
            f"{' and '.join(missing)}."
        )


def _pool(shapes: Shapes) -> Pool:
    if "out.2.positional_embedding" in shapes:
        return "attention"
    if len(shapes.get("out.3.weight", ())) == 4:
        return "adaptive"
    return "spatial_v2" if "out.3.weight" in shapes else "spatial"


def _levels(shapes: Shapes, flags: Mapping[str, Any]) -> tuple[int, list[int]]:
    """Depth, and the channels of each level.

    There are levels * (depth + 1) blocks, the stem included. Which of the divisors it is, the
    channels tell, and where attention is not.

    Raises:
        InputError: none fits, or several do and no flag decides.
    """
    blocks = [_channels(shapes, block) for block in range(1, _count(shapes))]
    total, fitting = len(blocks) + 1, []
    for levels in range(1, total):
        depth = total // levels - 1
        if total % levels or depth < 1 or flags.get("depth") not in (None, depth):
            continue
        runs = [blocks[k : k + depth + 1] for k in range(0, len(blocks), depth + 1)]
        halving = [k + depth + 1 for k in range(0, len(blocks) - depth, depth + 1)]
        plain = all(f"input_blocks.{k}.1.qkv.weight" not in shapes for k in halving)
        even = all(len(set(run)) == 1 for run in runs)
        if even and plain and _ends(shapes, halving):
            fitting.append((depth, [run[0] for run in runs]))
    mult = flags.get("channel_mult")
    if mult is not None:
        fitting = [each for each in fitting if len(each[1]) == len(mult)]
    if len(fitting) != 1:
        what = "None fits" if not fitting else "Several would fit"
        raise InputError(
            f"The {len(blocks)} blocks of this classifier do not tell its depth ({what}); give "
            "depth (4 for 64 pixels, else 2 in guided-diffusion) or check the file."
        )
    return fitting[0]


def _ends(shapes: Shapes, halving: list[int]) -> bool:
    """Whether convolutions that halve the resolution stand just there, if there are any."""
    convolutions = {
        int(m[1]) for key in shapes if (m := re.match(r"input_blocks\.(\d+)\.0\.op", key))
    }
    return not convolutions or convolutions == set(halving)


def _count(shapes: Shapes) -> int:
    found = (re.match(r"input_blocks\.(\d+)\.", key) for key in shapes)
    return max(int(match[1]) for match in found if match) + 1


def _channels(shapes: Shapes, block: int) -> int:
    for name in ("0.out_layers.3.weight", "0.op.weight"):
        if (shape := shapes.get(f"input_blocks.{block}.{name}")) is not None:
            return shape[0]
    raise InputError(f"Block {block} of this classifier is missing; give the unchanged file.")


def _attention(shapes: Shapes, depth: int, levels: int) -> tuple[int, ...]:
    return tuple(
        2**level
        for level in range(levels)
        if f"input_blocks.{level * (depth + 1) + 1}.1.qkv.weight" in shapes
    )


def _ratio(channels: int, width: int) -> float:
    return channels // width if channels % width == 0 else channels / width


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
