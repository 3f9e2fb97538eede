"""``ilvr upscale``: pictures drawn again, twice or four times as large."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..adm import load_adm
from ..diffusion.loop import labels_for
from ..diffusion.schedule import Schedule
from ..diffusion.tiles import Tiles
from ..embedded import PIXEL_MODEL
from ..guides.weight import parse_weight
from ..pictures.files import name_for_results, output_folder
from ..pictures.images import find_images, fit_to, read_image, save_png, to_images, to_tensor
from ..upscaling import (
    DENOISE,
    END,
    FACTOR,
    OVERLAP,
    falling,
    first_step,
    upscale,
    upscaled_side,
    upscaling_reference,
)
from .common import DTYPES, check_counts, choose_device, choose_dtype, progress, report
from .guiding import parse_flags

EXAMPLE = "ilvr upscale apple_N4_seed0.png --scale 2 --output large"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    small = "small pictures, folders or globs; cropped to the model's size"
    add("image", nargs="+", metavar="PATH", help=small)
    add("--model", default="embedded", metavar="PATH", help="a guided-diffusion checkpoint")
    add("--flag", action="append", default=[], metavar="NAME=VALUE", help="what no file tells")
    add("--class-label", type=int, metavar="C", help="for class-conditional models")
    add("--scale", type=float, default=2.0, metavar="S", help="times as wide and high (2)")
    kept = "pixels of the small picture whose detail is left to the model (1: all is kept)"
    add("--factor", type=float, default=FACTOR, metavar="N", help=kept)
    falls = f"0 (off) to 1, or points that it goes through ({falling()})"
    add("--weight", default=str(falling()), metavar="W", help=falls)
    add("--end", type=float, default=END, help="when to stop following the small picture (1)")
    share = f"share of the steps that are taken, 1 = from pure noise ({DENOISE:g})"
    add("--denoise", type=float, default=DENOISE, metavar="D", help=share)
    least = f"least share of a window that lies on the next one ({OVERLAP:g})"
    add("--overlap", type=float, default=OVERLAP, metavar="O", help=least)
    add("--steps", type=int, default=50, help="of the whole schedule (50)")
    add("--seed", type=int, default=0, help="picture k uses seed + k")
    add("--batch-size", type=int, default=16, metavar="B", help="windows at once (16)")
    add("--device", default="auto")
    add("--dtype", choices=["auto", *DTYPES], default="auto")
    add("--output", type=Path, required=True, metavar="DIR")
    add("--json", action="store_true", help="say what was made as JSON")


def run(options: argparse.Namespace) -> None:
    """Check everything, then draw picture by picture."""
    check_counts(options, "batch_size", "steps")
    weight = parse_weight(options.weight, "cosine")
    paths = find_images(options.image)
    pictures = [read_image(path) for path in paths]
    output_folder(options.output)
    device = choose_device(options.device)
    model = load_adm(
        PIXEL_MODEL if options.model == "embedded" else options.model,
        device=device,
        dtype=choose_dtype(options.dtype, device, options.model),
        **parse_flags(options.flag),
    )
    config, side = model.config, model.config.image_size
    labels = labels_for(config, options.class_label, 1, model.device)
    small = torch.cat([to_tensor(fit_to(picture, (side, side))) for picture in pictures])
    large = upscaled_side(side, options.scale)
    guided = {"factor": options.factor, "weight": weight, "end": options.end}
    upscaling_reference(small, options.scale, **guided)
    schedule = Schedule(config.noise_schedule, config.diffusion_steps, options.steps)
    steps = len(schedule) - first_step(len(schedule), options.denoise)
    windows = len(Tiles(side, side, options.overlap).places((large, large)))
    names = ("scale", "factor", "weight", "end", "denoise", "overlap", "steps", "model")
    settings: dict[str, object] = {name: getattr(options, name) for name in names}
    files: list[str] = []
    with progress("upscaling", steps * len(paths)) as advance:
        for k, path in enumerate(paths):
            x = upscale(
                model,
                small[k : k + 1],
                options.scale,
                **guided,
                denoise=options.denoise,
                overlap=options.overlap,
                batch=options.batch_size,
                steps=options.steps,
                seed=options.seed + k,
                class_labels=labels,
                callback=lambda step, x: advance(),
            )
            file = options.output / f"{name_for_results(path)}-x{options.scale:g}.png"
            save_png(to_images(x)[0], file, settings | {"seed": options.seed + k})
            files.append(str(file))
    report(
        options.json,
        {"files": files, "settings": settings, "windows": windows},
        f"{len(files)} pictures of {large}x{large} in {options.output}, {windows} windows a step",
    )
