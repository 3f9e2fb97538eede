"""``ilvr match``: a finished picture in the colours of another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from PIL import Image
from torch import Tensor

from ..guides.lowpass import Kernel
from ..guides.picture_match import Beyond, FactorUnit, lowpass_of, match_picture
from ..pictures.images import fit_to, read_image, save_png, to_images, to_tensor
from .common import output_png

EXAMPLE = "ilvr match tenth.png --reference first.png --factor 0.25 --output tenth-matched.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("image", metavar="PICTURE", help="the finished picture")
    add("--reference", required=True, metavar="PATH", help="has the colours; fitted by cropping")
    add(
        "--factor",
        type=float,
        default=0.25,
        metavar="N",
        help="what is finer stays: a share of the shorter side (default: a quarter, colours and "
        "their place; 1: the mean colour), or pixels",
    )
    add("--factor-unit", choices=get_args(FactorUnit), default="share")
    add("--weight", type=float, default=1.0, metavar="W", help="0 (as it is) to 1 (default)")
    add("--mask", metavar="PATH", help="a picture: where the two are compared, white = yes")
    add(
        "--beyond-mask",
        choices=get_args(Beyond),
        default="keep",
        help="keep the picture there (default), or spread the change",
    )
    add("--kernel", choices=get_args(Kernel), default="cubic")
    add("--output", type=Path, required=True, metavar="FILE", help="a .png file")


def run(options: argparse.Namespace) -> None:
    """Match and write."""
    picture = read_image(options.image)
    x = to_tensor(picture)
    lowpass_of(options.factor, options.factor_unit, options.kernel, x)
    matched = match_picture(
        x,
        to_tensor(fit_to(read_image(options.reference), picture.size)),
        options.factor,
        options.kernel,
        factor_unit=options.factor_unit,
        weight=options.weight,
        mask=None if options.mask is None else _mask(options.mask, picture.size),
        beyond=options.beyond_mask,
    )
    output_png(options.output)
    names = ("factor", "factor_unit", "weight", "beyond_mask", "kernel")
    settings: dict[str, object] = {name: getattr(options, name) for name in names}
    settings["reference"] = Path(options.reference).name
    save_png(to_images(matched)[0], options.output, settings)
    print(options.output)


def _mask(path: str, size: tuple[int, int]) -> Tensor:
    grey: Image.Image = fit_to(read_image(path).convert("L").convert("RGB"), size)
    return (to_tensor(grey)[:, :1] + 1) / 2
