"""What a node is given, held against its schema.

The host looks at links, ranges and, in some versions, options. Whatever else a prompt says it
hands over: JSON in place of what a socket carries, NaN, latents without samples.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..ilvr_latent import InputError
from ..ilvr_latent.errors import check_choice
from .tools.tape import Tape

LETTERS = 60


def check_inputs(given: Sequence[Any], values: Mapping[str, Any]) -> None:
    """Refuse what a node cannot use, before it does anything.

    Args:
        given: the inputs of the schema.
        values: by the names of the inputs; what is not there is the node's default.

    Raises:
        InputError: a value is not of its input's type, is empty or not finite, or is no option.
    """
    for one in given:
        value = values.get(one.id)
        if one.id not in values or (value is None and one.optional):
            continue
        kind = str(one.io_type)
        if kind == "COMBO":
            _check_option(one, value)
        elif kind in ("INT", "FLOAT"):
            _check_number(one, value, numbers.Integral if kind == "INT" else numbers.Real)
        elif kind in CHECKS:
            CHECKS[kind](one.id, value)
        elif kind in KINDS and not KINDS[kind](value):
            raise _no(kind, one.id, value)


def _check_option(given: Any, value: Any) -> None:
    # An unhashable value would not be found in the list either, but raise.
    if not isinstance(value, str):
        raise _no("option", given.id, value)
    check_choice(given.id, value, given.options)


def _check_number(given: Any, value: Any, kind: type) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise _no("whole number" if kind is numbers.Integral else "number", given.id, value)
    # A number that comes over a link is not held against the range of its widget. NaN is in none.
    if not given.min <= value <= given.max:
        raise InputError(
            f"The input {given.id} is {_short(value)}; use a number from {given.min:g} to "
            f"{given.max:g}."
        )


def _check_image(name: str, value: Any) -> None:
    shaped = isinstance(value, Tensor) and value.ndim == 4 and value.shape[-1] in (1, 3, 4)
    if not shaped or not value.is_floating_point():
        raise _no("IMAGE", name, value)
    _check_numbers(name, "picture", value)


def _check_mask(name: str, value: Any) -> None:
    if not isinstance(value, Tensor) or value.ndim not in (2, 3, 4) or value.is_complex():
        raise _no("MASK", name, value)
    _check_numbers(name, "mask", value)


def _check_latent(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise _no("LATENT", name, value)
    samples = value.get("samples")
    if samples is None:
        raise InputError(
            f"The {name} is an empty latent (it has no samples); plug in the LATENT of a node "
            "such as ILVR Reference (VAE Encode)."
        )
    if getattr(samples, "is_nested", False):
        return
    if not isinstance(samples, Tensor) or samples.ndim < 3 or not samples.is_floating_point():
        raise _no("LATENT", name, samples)
    _check_numbers(name, "latent", samples)
    if value.get("noise_mask") is not None:
        _check_mask(f"{name} (its noise mask)", value["noise_mask"])


def _check_numbers(name: str, what: str, x: Tensor) -> None:
    if x.numel() == 0:
        raise InputError(
            f"The {name} has no pixels: the {what} is of shape {tuple(x.shape)}; plug in another."
        )
    if not bool(torch.isfinite(x).all()):
        raise InputError(
            f"The {name} is a {what} with NaN or infinite values; check the node that made it, "
            "such as a VAE in half precision."
        )


def _is_conditioning(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, (list, tuple)) and len(one) == 2 and isinstance(one[1], Mapping)
        for one in value
    )


def _is_classifier(value: Any) -> bool:
    return isinstance(value, ModelPatcher) and hasattr(value.model, "config")


def _can(*names: str) -> Callable[[Any], bool]:
    """Other packs have classes of their own, so it is asked for what is used of one."""
    # A text can be encoded, too, and a class has what its objects have.
    return lambda value: (
        not isinstance(value, (str, type))
        and any(getattr(value, one, None) is not None for one in names)
    )


KINDS: dict[str, Callable[[Any], bool]] = {
    "MODEL": _can("get_model_object"),
    "VAE": _can("decode", "encode"),
    "CLIP": _can("tokenize"),
    "CLIP_VISION": _can("patcher"),
    "SAMPLER": _can("sample"),
    "CONDITIONING": _is_conditioning,
    "STRING": lambda value: isinstance(value, str),
    "BOOLEAN": lambda value: isinstance(value, int),
    "ILVR_RECORDING": lambda value: isinstance(value, Tape),
    "ILVR_CLASSIFIER": _is_classifier,
}
CHECKS: dict[str, Callable[[str, Any], None]] = {
    "IMAGE": _check_image,
    "MASK": _check_mask,
    "LATENT": _check_latent,
}


def _no(kind: str, name: str, value: Any) -> InputError:
    if isinstance(value, Tensor):
        said = f"a {value.dtype} of shape {tuple(value.shape)}"
    elif value is None or isinstance(value, (str, bool, int, float)):
        said = _short(value)
    else:
        said = f"a {type(value).__name__}"
    return InputError(f"The input {name} is {said}, which is no {kind}; plug in or type one.")


def _short(value: Any) -> str:
    try:
        text = ascii(value)
    except ValueError:  # More digits than Python writes.
        return "a huge number"
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}..."
