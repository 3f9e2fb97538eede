"""Weights on disk: read without ever running code from the file, written whole or not at all.

What a file is, is told by its first bytes and not by its name.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError
from ..pictures.files import written_whole
from .wrappers import WRAPPERS, unwrapped

FileFormat = Literal["safetensors", "PyTorch", "PyTorch (before 1.6)"]

PREFIXES = ("_orig_mod.", "module.")
# What hosts put before a diffusion model; an ADM network is told from others by this tensor.
HOST_PREFIX, TELLING = "model.diffusion_model.", "middle_block.1.qkv.weight"
DAMAGED = "download or copy it again"


@dataclass(frozen=True)
class Weights:
    """A state dict as it lies on disk.

    Attributes:
        tensors: on the CPU, mapped into memory where the format allows; names without wrapper.
        metadata: strings from the header of a safetensors file.
        file_format: how the file is written.
        taken: which of several kinds of weights these are, and how to have the others.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    file_format: FileFormat
    taken: str | None = None


def expanded(path: str | PathLike[str]) -> Path:
    """With ``~`` replaced.

    Raises:
        InputError: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{str(path)!r} names the home of nobody here; write the whole path."
        ) from None


def check_file(path: Path) -> None:
    """Refuse what cannot be a checkpoint before it is opened.

    Args:
        path: where the checkpoint should be.

    Raises:
        InputError: nothing there, a folder, something that is not a file, or an empty file.
    """
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; give the checkpoint file inside it.")
    if not path.exists():
        raise InputError(f"There is no file '{path}'; check the path of the checkpoint.")
    if not path.is_file():
        raise InputError(f"'{path}' is not a regular file; give a .pt or .safetensors checkpoint.")
    if path.stat().st_size == 0:
        raise InputError(f"'{path}' is empty (0 bytes); {DAMAGED}.")


def read_weights(path: Path, which: str = "ema") -> Weights:
    """Read a ``.pt`` or safetensors file, whatever it is called.

    Args:
        path: the file.
        which: averaged weights, where there are both, or the model's own.

    Returns:
        Its tensors, unwrapped.

    Raises:
        InputError: it cannot be read, is damaged, wants to run code, or holds no state dict.
    """
    check_file(path)
    try:
        file_format = _sniff(path)
        if file_format == "safetensors":
            tensors, metadata = _read_safetensors(path)
            for name, tensor in tensors.items():
                _check_tensor(name, tensor, path)
            return Weights(_unprefixed(tensors), metadata, file_format)
        chosen, taken = unwrapped(_read_pytorch(path, file_format), which)
        tensors = _state_dict(chosen, path)
        if file_format == "PyTorch":
            _check_records(tensors, path)
        return Weights(tensors, {}, file_format, taken)
    except OSError as error:
        raise InputError(
            f"'{path}' cannot be read ({error.strerror or error}); check the path and its "
            "permissions."
        ) from error


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file; an interruption leaves what was there before.

    Args:
        path: the file; replaced if it exists.
        tensors: any device and layout.
        metadata: strings for the header.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with written_whole(path) as partial:
            save_file(plain, partial, metadata={"format": "pt", **metadata})
    except SafetensorError as error:
        raise OSError(str(error)) from error


def _sniff(path: Path) -> FileFormat:
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"PK\x03\x04"):
        return "PyTorch"
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "PyTorch (before 1.6)"
    if start[8:9] == b"{":
        return "safetensors"
    raise InputError(
        f"'{path}' is neither a PyTorch nor a safetensors file (it begins with {start!r}); "
        "give a .pt or .safetensors checkpoint."
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(
            f"'{path}' is a damaged or incomplete safetensors file ({error}); {DAMAGED}."
        ) from error


def _read_pytorch(path: Path, file_format: FileFormat) -> object:
    # Given a path, torch goes by its name where that ends in .safetensors.
    by_path = file_format == "PyTorch" and path.suffix.lower() != ".safetensors"
    try:
        with warnings.catch_warnings():
            # Of what is unusual in the file; what matters of it is an error.
            warnings.simplefilter("ignore")
            if by_path:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            with path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    # A damaged pickle can fail in any way at all, and none of them is a defect of ours.
    except Exception as error:
        refused = isinstance(error, pickle.UnpicklingError) and re.search(
            r"Unsupported|GLOBAL|Can only", str(error)
        )
        if refused or "TorchScript" in str(error):
            culprit = re.search(r"GLOBAL ([\w.]+)", str(error))
            named = f" ({culprit[1]})" if culprit else ""
            raise InputError(
                f"'{path}' wants to run code{named} when it is read and was not opened; give plain "
                "weights: the state dict alone, saved with torch.save or as safetensors."
            ) from error
        first_line = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"'{path}' is a damaged or incomplete PyTorch file ({first_line}); {DAMAGED}."
        ) from error


def _check_records(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Hold the storages against the records of the archive, which may be cut.

    Raises:
        InputError: the records are too short, or the archive cannot be read.
    """
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors.values()}
    needed = sum(storage.nbytes() for storage in storages.values())
    try:
        with zipfile.ZipFile(path) as archive:
            there = sum(one.file_size for one in archive.infolist() if "/data/" in one.filename)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"'{path}' is a damaged PyTorch file ({error}); {DAMAGED}.") from error
    if needed > there:
        raise InputError(
            f"'{path}' has {there} bytes of weights where its tensors need {needed}; {DAMAGED}."
        )


def _state_dict(loaded: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping) or not loaded:
        raise InputError(
            f"'{path}' holds {_described(loaded)}, not the weights of a network; give a file with "
            "a state dict (names and tensors)."
        )
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(
                f"'{path}' holds {type(value).__name__} under {_in_ascii(name)}, where a tensor "
                f"should be; give the state dict alone, or under one of {list(WRAPPERS)}."
            )
        _check_tensor(name, value, path)
    return _unprefixed(dict(loaded))


def _check_tensor(name: str, tensor: Tensor, path: Path) -> None:
    """Refuse what is no plain weight, and what claims more numbers than the file holds.

    Raises:
        InputError: it is.
    """
    plain = tensor.layout is torch.strided and not tensor.is_quantized
    # Numbers of eight bits mean something with their scales only, and know no infinity.
    number = tensor.is_floating_point() and tensor.element_size() > 1
    if not (plain and tensor.device.type == "cpu" and number):
        kind = "quantised" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
        raise InputError(
            f"'{path}' holds {_in_ascii(name)} as {kind} {tensor.dtype} on {tensor.device}; give "
            "plain floating-point weights of 16 bits or more."
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise InputError(
            f"'{path}' holds {_in_ascii(name)} of shape {tuple(tensor.shape)}, more numbers than "
            f"the file has; {DAMAGED}."
        )


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights with NaN or infinite values: every picture would be black.

    Raises:
        InputError: a tensor has one; by its name.
    """
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(
                f"'{path}' holds NaN or infinite values in {_in_ascii(name)}; give the checkpoint "
                "of an earlier step, or copy it again."
            )


def _in_ascii(name: object, letters: int = 60) -> str:
    """A name from a file, however long and whatever is in it."""
    text = ascii(name)
    return text if len(text) <= letters else f"{text[:letters]}...'"


def _described(loaded: object) -> str:
    return "an empty dict" if isinstance(loaded, Mapping) else f"a {type(loaded).__name__}"


def _unprefixed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names without what DistributedDataParallel, torch.compile and hosts put before each."""
    prefixes = [HOST_PREFIX] if HOST_PREFIX + TELLING in tensors else []
    for _ in PREFIXES:
        for prefix in (*PREFIXES, *prefixes):
            if tensors and all(name.startswith(prefix) for name in tensors):
                tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
