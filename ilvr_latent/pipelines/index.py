"""What a pipeline folder says that it is made of, read before diffusers imports any of it.

diffusers imports the modules that ``model_index.json`` names: those of installed packages, whatever
importing them does, and older versions those that lie in the folder, too.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import diffusers

from ..errors import InputError

NAME = "model_index.json"
LIBRARIES = ("diffusers", "transformers")


def check_index(folder: Path) -> None:
    """Make sure that a folder is made of parts of diffusers and transformers only.

    Args:
        folder: as ``save_pretrained`` wrote it.

    Raises:
        InputError: there is no index, it cannot be read, or it names anything else.
    """
    known = _read(folder)
    if not isinstance(known.get("_class_name"), str):
        raise _no(folder, "_class_name", known.get("_class_name"))
    for part, value in known.items():
        # The others are numbers and switches of the pipeline itself.
        if not part.startswith("_") and isinstance(value, list) and not _is_known(value):
            raise _no(folder, part, value)
    for code in (folder / "pipeline.py", *folder.glob("*/*.py")):
        if code.exists():
            raise InputError(
                f"The pipeline in {str(folder)!r} comes with code ({code.name}), which is not run; "
                "take the code out if you know that the pipeline does without."
            )


def _read(folder: Path) -> dict[str, Any]:
    path = folder / NAME
    if not path.is_file():
        raise InputError(
            f"The folder {str(folder)!r} has no {NAME}, so it is no diffusers pipeline; "
            "give the folder that save_pretrained wrote."
        )
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        known = None
    if not isinstance(known, dict):
        raise InputError(f"{str(path)!r} is damaged; copy the pipeline again.")
    return known


def _is_known(value: list[Any]) -> bool:
    if value in ([None, None], []):
        return True
    library = value[0]
    if not isinstance(library, str):
        # Numbers of the pipeline itself.
        return not any(isinstance(one, str) for one in value)
    # A part that belongs to one pipeline is named with the module of that pipeline.
    own = getattr(diffusers.pipelines, library, None)
    return library in LIBRARIES or isinstance(own, ModuleType)


def _no(folder: Path, part: str, value: object) -> InputError:
    return InputError(
        f"The pipeline in {str(folder)!r} has {value!r} for {part}, which is not of diffusers or "
        "transformers and is not imported; give a pipeline of these."
    )
