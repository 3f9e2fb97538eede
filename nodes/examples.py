"""The pictures that the workflows load, put where ComfyUI's Load Image looks for them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import folder_paths

from ..ilvr_latent.embedded import REFERENCES

logger = logging.getLogger(__name__)

FOLDER = "ilvr"


def install_examples() -> None:
    """Copy the shipped references to ``input/ilvr``; what is there already stays as it is."""
    target = Path(folder_paths.get_input_directory()) / FOLDER
    try:
        target.mkdir(parents=True, exist_ok=True)
        for picture in REFERENCES.glob("*.png"):
            if not (target / picture.name).exists():
                shutil.copyfile(picture, target / picture.name)
    except OSError as error:
        logger.warning(
            "The example pictures of ILVR could not be copied to '%s' (%s).", target, error
        )
