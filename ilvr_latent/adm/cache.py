"""Pickled checkpoints kept a second time as safetensors, so that each is unpickled only once.

Not beside the checkpoint: ComfyUI would list the model twice. The cache may fail in any way
without failing the load.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from torch import Tensor

from ..errors import InputError
from .weights import read_weights, write_weights

logger = logging.getLogger(__name__)

END = 1 << 20


def folder() -> Path:
    """Where the copies are: ``$ILVR_CACHE``, ``$XDG_CACHE_HOME/ilvr`` or ``~/.cache/ilvr``."""
    if own := os.environ.get("ILVR_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ilvr"


def location(path: Path) -> Path:
    """The copy of one checkpoint in its present state.

    Args:
        path: the checkpoint.

    Returns:
        The copy's path; its name tells the checkpoint's place, then its size, time and end.
    """
    stat = path.stat()
    with path.open("rb") as file:
        # An archive ends in the checksums of all that is in it.
        file.seek(-min(stat.st_size, END), os.SEEK_END)
        end = hashlib.sha256(file.read()).hexdigest()
    state = _short_hash(f"{stat.st_size} {stat.st_mtime_ns} {end}")
    return folder() / f"{_family(path)}-{state}.safetensors"


def fetch(path: Path) -> dict[str, Tensor] | None:
    """The state dict of a checkpoint that was stored before.

    Args:
        path: the checkpoint.

    Returns:
        Its tensors, or ``None`` where there is no usable copy.
    """
    try:
        copy = location(path)
        return read_weights(copy).tensors if copy.exists() else None
    except InputError as error:
        logger.warning("The cached copy is made again: %s", error)
    except (OSError, RuntimeError) as error:
        logger.info("The cache cannot be used: %s", error)
    return None


def store(path: Path, tensors: dict[str, Tensor]) -> None:
    """Keep a state dict for next time, and drop copies of the checkpoint's earlier states.

    Args:
        path: the checkpoint that the tensors come from.
        tensors: its state dict.
    """
    try:
        copy = location(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_weights(copy, tensors, {})
        for other in copy.parent.iterdir():
            if other.name.startswith(f"{_family(path)}-") and other != copy:
                other.unlink()
    # safetensors refuses tensors that share memory with a ValueError or RuntimeError.
    except (OSError, RuntimeError, ValueError) as error:
        logger.info("The checkpoint is not cached: %s", error)


def _family(path: Path) -> str:
    return f"{path.stem[:40]}-{_short_hash(str(path.resolve()))}"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
