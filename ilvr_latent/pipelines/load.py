"""Pipelines from this machine: a diffusers folder, one checkpoint file, or the embedded model.

Nothing is downloaded: what is not here is an error that says so.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import diffusers
import torch

from ..errors import InputError
from ..shipped import LATENT_MODEL
from .index import check_index
from .levels import SOLVERS, scale_of, solver_of

# What diffusers and transformers raise about files that are missing or cannot be read.
UNREADABLE = (OSError, ValueError, KeyError, AttributeError, ImportError, RuntimeError, TypeError)


def load_pipeline(
    source: str, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Any:
    """A diffusers pipeline from a local source.

    Args:
        source: a folder with a ``model_index.json``, a single-file checkpoint, or ``embedded``.
        device: where to put it.
        dtype: its precision; fp32 by default.

    Raises:
        InputError: there is no such source, it is not whole, or its scheduler is not known.
    """
    path = Path(source)
    if source == "embedded":
        pipe = _embedded(dtype)
    elif path.is_dir():
        pipe = from_folder(path, dtype)
    elif path.is_file():
        pipe = _from_file(path, dtype)
    else:
        raise InputError(
            f"There is no pipeline at {source!r}; give a diffusers folder, a .safetensors file or "
            "'embedded' (names on the Hugging Face hub are not downloaded)."
        )
    if getattr(pipe, "scheduler", None) is None:
        raise InputError(
            f"{type(pipe).__name__} has no scheduler, so it does not sample by denoising; give a "
            "diffusion pipeline."
        )
    solver_of(pipe.scheduler)
    return pipe.to(device)


def from_folder(path: Path, dtype: torch.dtype | None) -> Any:
    """A pipeline from the folder that ``save_pretrained`` wrote, on the CPU.

    Raises:
        InputError: the folder is none, is not whole, or names code that is not of diffusers.
    """
    check_index(path)
    try:
        return diffusers.DiffusionPipeline.from_pretrained(
            str(path), local_files_only=True, use_safetensors=True, **_precision(dtype)
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    # Damaged files can fail in any way at all, and none of them is a defect of ours.
    except Exception as error:
        raise InputError(
            f"The pipeline in {str(path)!r} is not whole ({_first_line(error)}); put the missing "
            "files there, weights as .safetensors: nothing is downloaded, and no pickle is opened."
        ) from error


def _embedded(dtype: torch.dtype | None) -> Any:
    if not (LATENT_MODEL / "model_index.json").is_file():
        raise InputError(
            f"The embedded latent model is not at {str(LATENT_MODEL)!r}; install the package "
            "again, or give a pipeline of yours."
        )
    return from_folder(LATENT_MODEL, dtype)


def _precision(dtype: torch.dtype | None) -> dict[str, torch.dtype]:
    """The argument that diffusers takes for it, which newer versions call ``dtype``."""
    newer = hasattr(diffusers.utils.deprecation_utils, "_resolve_dtype")
    return {"dtype" if newer else "torch_dtype": dtype or torch.float32}


def _from_file(path: Path, dtype: torch.dtype | None) -> Any:
    """A checkpoint in one file. Its family's configuration and tokenizer are not in it."""
    from diffusers.loaders.single_file_utils import (
        fetch_diffusers_config,
        load_single_file_checkpoint,
    )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        family = fetch_diffusers_config(load_single_file_checkpoint(str(path)))
    except UNREADABLE as error:
        raise InputError(
            f"{str(path)!r} cannot be read as a checkpoint ({_first_line(error)}); give a "
            ".safetensors file, or a diffusers folder."
        ) from error
    repository = str(family["pretrained_model_name_or_path"])
    try:
        # Left to itself, diffusers would download what it does not find.
        folder = Path(snapshot_download(repository, local_files_only=True))
        name = json.loads((folder / "model_index.json").read_text())["_class_name"]
    except (LocalEntryNotFoundError, OSError, KeyError):
        raise InputError(
            f"{str(path)!r} needs the configuration and tokenizer of {repository}, which are not "
            "on this machine; where there is a network, convert it to a folder with "
            "from_single_file(...).save_pretrained(DIR) and give that folder."
        ) from None
    try:
        return getattr(diffusers, name).from_single_file(
            str(path), config=str(folder), local_files_only=True, **_precision(dtype)
        )
    except UNREADABLE as error:
        raise InputError(
            f"{str(path)!r} cannot be loaded as {name} ({_first_line(error)}); convert it to a "
            "diffusers folder and give that."
        ) from error


def exchange_scheduler(pipe: Any, name: str) -> None:
    """Give a pipeline another scheduler, for the same process.

    Args:
        pipe: its scheduler is exchanged.
        name: a class of diffusers; ``Scheduler`` at its end may be left out.

    Raises:
        InputError: there is none, it needs a package that is not here, or it is for another process
            (flow or not).
    """
    full = name if name.endswith("Scheduler") else f"{name}Scheduler"
    if full not in SOLVERS or not hasattr(diffusers, full):
        near = difflib.get_close_matches(full, SOLVERS, n=3, cutoff=0.3) or sorted(SOLVERS)
        raise InputError(f"The scheduler is {name!r}; use one such as {', '.join(near)}.")
    flow, before = scale_of(pipe.scheduler) == "flow", pipe.scheduler.config
    more: dict[str, Any] = {}
    if flow and SOLVERS[full].scale == "normalised":
        shift = before.get("shift", before.get("flow_shift", 1.0))
        more = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": shift}
    try:
        scheduler = getattr(diffusers, full).from_config(before, **more)
    except ImportError as error:
        raise InputError(
            f"{full} needs a package that is not installed ({_first_line(error)}); install it or "
            "use another scheduler."
        ) from None
    if (scale_of(scheduler) == "flow") != flow:
        kind = "a flow model" if flow else "no flow model"
        raise InputError(f"This pipeline has {kind}, which {full} is not for; use another one.")
    pipe.scheduler = scheduler


def add_lora(pipe: Any, path: str) -> None:
    """Load a LoRA file into a pipeline.

    Raises:
        InputError: there is no such file, it does not fit, or the package peft is missing.
    """
    if not Path(path).exists():
        raise InputError(f"There is no LoRA at {path!r}; check the path.")
    if not hasattr(pipe, "load_lora_weights"):
        raise InputError(f"{type(pipe).__name__} takes no LoRA; leave --lora out.")
    if not diffusers.utils.is_peft_available():
        raise InputError("A LoRA needs the package peft; install it with 'pip install peft'.")
    try:
        pipe.load_lora_weights(path)
    except UNREADABLE as error:
        raise InputError(
            f"The LoRA {path!r} does not fit {type(pipe).__name__} ({_first_line(error)}); use one "
            "that was trained for this model."
        ) from error


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip().rstrip(".;:") if lines else type(error).__name__
