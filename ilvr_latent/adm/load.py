"""A checkpoint file to a network and back."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, about
from . import cache, flags
from .config import ADMConfig
from .detect import Detected, Shapes, check_size, detect, verify
from .known import recognise
from .unet import ADM, ADMUNet
from .weights import (
    Weights,
    check_file,
    check_finite,
    expanded,
    read_weights,
    write_weights,
)
from .wrappers import check_weights_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inspection:
    """What is known about a checkpoint file.

    Attributes:
        path: the file.
        size: its size in bytes.
        file_format: how it is written.
        parameters: number of weights in it.
        dtypes: their precisions.
        weights: where in the file they are, if there are several kinds: averaged ones (EMA) first.
        detected: what keys and shapes tell.
        known: name of the published checkpoint with these shapes, if any.
        config: everything needed to use it, or ``None`` where flags are missing.
        missing: one sentence on the missing flags, or ``None``.
    """

    path: Path
    size: int
    file_format: str
    parameters: int
    dtypes: tuple[str, ...]
    weights: str | None
    detected: Detected
    known: str | None
    config: ADMConfig | None
    missing: str | None

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can hold."""
        return dataclasses.asdict(self) | {"path": str(self.path), "dtypes": list(self.dtypes)}


def load_adm(
    path: str | PathLike[str],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    weights: object = "ema",
    **given: object,
) -> ADM:
    """Load a guided-diffusion checkpoint, ready to sample from.

    Args:
        path: a ``.pt`` or safetensors file with guided-diffusion's parameter names.
        device: where the network shall be.
        dtype: what it shall compute in; fp32 by default.
        weights: ``ema``, the averaged ones where the file has them, or ``model``, the raw ones.
        **given: guided-diffusion's flags (``num_head_channels``, ``noise_schedule``, ...), needed
            where neither the file nor the table of published checkpoints tells them.

    Returns:
        The network in eval mode, without gradients, channels last.

    Raises:
        InputError: the file cannot be used, a flag contradicts it, or flags are missing.
    """
    dtype = dtype or torch.float32
    if not dtype.is_floating_point:
        raise InputError(f"dtype is {dtype}; use torch.float32, torch.bfloat16 or torch.float16.")
    which = check_weights_of(weights)
    path, parsed = expanded(path), flags.parse(given)
    check_file(path)
    with about(path):
        read, config = _read(path, parsed, which)
        model = _network(read.tensors, config, torch.device(device), dtype)
    # Only now is it certain that the file is worth a copy.
    if read.file_format != "safetensors" and which == "ema":
        cache.store(path, read.tensors)
    return model


def _read(path: Path, parsed: Mapping[str, Any], which: str) -> tuple[Weights, ADMConfig]:
    """The file's weights and what they are; from the cached copy, if that will do."""
    cached = cache.fetch(path) if which == "ema" else None
    if cached is not None:
        copy = Weights(cached, {}, "safetensors")
        try:
            check_finite(cached, path)
            return copy, _resolved(copy, parsed)
        except InputError as error:
            # Whether the copy or the flags are wrong, the file itself tells.
            logger.info("The cached copy is not used: %s", error)
    weights = read_weights(path, which)
    if weights.taken is not None:
        logger.warning("%s: took the weights under %s.", path.name, weights.taken)
    check_finite(weights.tensors, path)
    return weights, _resolved(weights, parsed)


def _resolved(weights: Weights, parsed: Mapping[str, Any]) -> ADMConfig:
    detected, config = _examine(weights, parsed)
    return config or flags.resolve(detected, recognise(detected), parsed)


def inspect_checkpoint(
    path: str | PathLike[str], *, weights: object = "ema", **given: object
) -> Inspection:
    """Tell what a checkpoint is without building the network's weights.

    Args:
        path: the file.
        weights: as for :func:`load_adm`.
        **given: flags as for :func:`load_adm`; missing ones are reported, not raised.

    Returns:
        What could be found out.

    Raises:
        InputError: the file cannot be read, is no ADM checkpoint, or a flag contradicts it.
    """
    which = check_weights_of(weights)
    path, parsed = expanded(path), flags.parse(given)
    with about(path):
        read = read_weights(path, which)
        detected, config = _examine(read, parsed)
        known, missing = (recognise(detected), None) if config is None else (None, None)
        if config is None:
            try:
                config = flags.resolve(detected, known, parsed)
            except flags.MissingFlags as error:
                missing = str(error)
    return Inspection(
        path=path,
        size=path.stat().st_size,
        file_format=read.file_format,
        parameters=sum(tensor.numel() for tensor in read.tensors.values()),
        dtypes=tuple(sorted({str(t.dtype).removeprefix("torch.") for t in read.tensors.values()})),
        weights=read.taken,
        detected=detected,
        known=known.name if known else None,
        config=config,
        missing=missing,
    )


def save_adm(
    model: ADM | Mapping[str, Tensor],
    path: str | PathLike[str],
    *,
    config: ADMConfig | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a network under guided-diffusion's names; :func:`load_adm` needs no flags for it.

    Args:
        model: a network, or a state dict under guided-diffusion's names.
        path: a safetensors file to write; replaced whole or not at all.
        config: what the network is; with a state dict only.
        dtype: precision on disk.

    Raises:
        InputError: the state dict does not fit the configuration, or the file cannot be written.
    """
    if isinstance(model, ADM):
        tensors, config = model.unet.state_dict(), model.config
    elif config is None:
        raise InputError("A state dict alone does not tell its heads: give config= with it.")
    else:
        tensors = dict(model)
    verify(_shapes(tensors), _shapes_of(config))
    path = expanded(path)
    try:
        converted = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        write_weights(path, converted, config.to_metadata())
    except OSError as error:
        raise InputError(
            f"'{path}' cannot be written ({error.strerror or error}); check the folder, its "
            "permissions and the free space."
        ) from error


def _examine(weights: Weights, parsed: Mapping[str, Any]) -> tuple[Detected, ADMConfig | None]:
    """What the file tells, every tensor accounted for, and its own configuration if it has one."""
    config = ADMConfig.from_metadata(weights.metadata)
    shapes = _shapes(weights.tensors)
    if config is not None:
        flags.agree(config, parsed)
        check_size(config, shapes)
        verify(shapes, _shapes_of(config))
        return Detected.of(config), config
    detected = detect(shapes, super_resolution=parsed.get("super_resolution"))
    verify(shapes, _shapes_of(detected.placeholder()))
    return detected, None


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _blueprint(config: ADMConfig) -> ADMUNet:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return ADMUNet(config)


def _shapes_of(config: ADMConfig) -> Shapes:
    return _shapes(_blueprint(config).state_dict())


def _network(
    tensors: dict[str, Tensor], config: ADMConfig, device: torch.device, dtype: torch.dtype
) -> ADM:
    def placed(tensor: Tensor) -> Tensor:
        # One copy for all: it also lets go of the mapped file, which may be replaced later.
        layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
        return tensor.to(device, dtype, copy=True, memory_format=layout)

    unet = _blueprint(config)
    state_dict = {name: placed(tensor) for name, tensor in tensors.items()}
    unet.load_state_dict(state_dict, assign=True)
    return ADM(unet, config).eval().requires_grad_(False)
