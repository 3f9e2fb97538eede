"""``ilvr lowpass``: what a sample is held to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from ..errors import InputError
from ..guides.lowpass import Kernel, LowPass
from ..pictures.files import output_folder
from ..pictures.images import read_image, save_png, to_images, to_tensor

EXAMPLE = "ilvr lowpass photo.jpg --factor 8 --output photo-N8.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("image", metavar="IMAGE", help="the picture")
    parser.add_argument("--factor", type=float, required=True, metavar="N", help="at least 1")
    parser.add_argument("--kernel", choices=get_args(Kernel), default="cubic")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="a .png file")


def run(options: argparse.Namespace) -> None:
    """Filter and write."""
    lowpass = LowPass(options.factor, options.kernel)
    if options.output.suffix.lower() != ".png":
        raise InputError(f"The output is {str(options.output)!r}; give a name that ends in .png.")
    image = to_tensor(read_image(options.image))
    output_folder(options.output.parent)
    settings: dict[str, object] = {"factor": options.factor, "kernel": options.kernel}
    save_png(to_images(lowpass(image))[0], options.output, settings)
    print(options.output)
