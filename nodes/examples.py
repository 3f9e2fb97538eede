"""The pictures that the workflows load, put where ComfyUI's Load Image looks for them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import folder_paths

from ..ilvr_latent.shipped import CLIPS, REFERENCES

logger = logging.getLogger(__name__)

# Templates name them as they lie in input/ itself: newer front ends take a picture in a folder for
# missing. Workflows of older versions name them in the folder.
FOLDER, PREFIX = "ilvr", "ilvr_"


def install_examples() -> None:
    """Copy the shipped references and clips to ``input/``; what is there already stays as it is."""
    target = Path(folder_paths.get_input_directory())
    try:
        (target / FOLDER).mkdir(parents=True, exist_ok=True)
        for picture in (*REFERENCES.glob("*.png"), *CLIPS.glob("*.png")):
            for copy in (target / f"{PREFIX}{picture.name}", target / FOLDER / picture.name):
                if not copy.exists():
                    partial = copy.with_suffix(".partial")
                    shutil.copyfile(picture, partial)
                    partial.replace(copy)
    except OSError as error:
        logger.warning(
            "The example pictures of ILVR could not be copied to '%s' (%s).", target, error
        )
