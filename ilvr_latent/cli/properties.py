"""``ilvr properties``: the three properties of the paper (section 3), as figures.

R_N     the pictures x with phi_N(x) = phi_N(y)
1       N <= M: R_N is a part of R_M
2       a narrower range: a larger set
3       of y only phi_N(y) counts
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..diffusion.denoiser import Denoiser
from ..embedded import REFERENCES, load_embedded
from ..guides.lowpass import LowPass, low_pass_matrices
from ..guides.reference import Reference
from ..metrics.perceptual import low_pass_residual
from ..pictures.files import output_folder
from ..pictures.images import fit_to, read_image, save_png, to_images, to_tensor
from ..pictures.plot import BLUE, INK
from ..pictures.sheet import Column, contact_sheet
from ..recipes import vary_factor, vary_range
from ..sampling import sample
from .common import Advance, check_counts, choose_device, choose_dtype, progress

EXAMPLE = "ilvr properties --output properties"

NESTED_REFERENCE, FACTORS, NESTED_SEEDS = "noto_pumpkin", (2.0, 4.0, 8.0, 16.0), (0, 1, 2)
RANGE_REFERENCE, RANGE_FACTOR, RANGE_SEEDS = "twemoji_sunflower", 4.0, (0, 1, 2, 3)
RANGES = ((1000, 0), (1000, 500), (1000, 750), (1000, 900))
SAME_REFERENCE, DETAILS, SAME_FACTOR, SAME_SEEDS = "noto_apple", "twemoji_rocket", 8.0, (0, 1)
RUNS = len(FACTORS) + len(RANGES) + 1
CELL = 128
# The number that is drawn in full colour.
MOST = 0.4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--steps", type=int, default=25, help="network calls for each picture")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")


def run(options: argparse.Namespace) -> None:
    """Sample and write the three figures."""
    check_counts(options, "steps")
    folder = output_folder(options.output)
    device = choose_device(options.device)
    model = load_embedded(device=device, dtype=choose_dtype("auto", device, "embedded"))
    figures = {
        "property-nested": nested_figure,
        "property-range": range_figure,
        "property-same": same_figure,
    }
    with progress("properties", RUNS * options.steps) as advance:
        for name, figure in figures.items():
            save_png(figure(model, options.steps, advance), folder / f"{name}.png")
    print(f"{', '.join(f'{name}.png' for name in figures)} in {folder}")


def nested_figure(model: Denoiser, steps: int, advance: Advance) -> Image.Image:
    """Property 1: samples for each N, and how far they are from the reference at every M."""
    y_0 = _reference(NESTED_REFERENCE, model)
    made = vary_factor(
        model, y_0, NESTED_SEEDS, factors=FACTORS, steps=steps, callback=lambda *_: advance()
    )
    columns = [Column("reference")]
    columns += [
        Column(f"seed {seed}", gap=20 if k == 0 else 6, group="samples")
        for k, seed in enumerate(NESTED_SEEDS)
    ]
    columns += [
        Column(f"M = {m:g}", gap=20 if k == 0 else 6, group="RMS of phi_M(sample - reference)")
        for k, m in enumerate(FACTORS)
    ]
    rows: list[list[Image.Image | None]] = []
    for x in made.values():
        residuals = [low_pass_residual(x.cpu(), y_0, m).mean().item() for m in FACTORS]
        rows.append([_first(rows, y_0), *to_images(x), *map(number_cell, residuals)])
    labels = [f"N = {n:g}" for n in made]
    title = "Property 1: what agrees with the reference at N agrees with it at every M from N on"
    return contact_sheet(rows, columns, row_labels=labels, title=title, cell=CELL)


def range_figure(model: Denoiser, steps: int, advance: Advance) -> Image.Image:
    """Property 2: samples for each range, and where and how much they differ."""
    y_0 = _reference(RANGE_REFERENCE, model)
    made = vary_range(
        model,
        y_0,
        RANGE_SEEDS,
        factor=RANGE_FACTOR,
        ranges=RANGES,
        steps=steps,
        callback=lambda *_: advance(),
    )
    columns = [Column("reference")]
    columns += [
        Column(f"seed {seed}", gap=20 if k == 0 else 6, group="samples")
        for k, seed in enumerate(RANGE_SEEDS)
    ]
    columns += [
        Column("each pixel", gap=20, group="std over the seeds"),
        Column("mean", group="std over the seeds"),
        Column("RMS of\nphi_N(sample - reference)", gap=20),
    ]
    rows: list[list[Image.Image | None]] = []
    for x in made.values():
        x = x.cpu()
        spread = x.std(dim=0).mean(dim=0)
        residual = low_pass_residual(x, y_0, RANGE_FACTOR).mean().item()
        rows.append(
            [
                _first(rows, y_0),
                *to_images(x),
                heat_map(spread),
                number_cell(spread.mean().item()),
                number_cell(residual),
            ]
        )
    labels = [f"t = {hi} to {lo}" for hi, lo in made]
    title = f"Property 2: a narrower range leaves more pictures (N = {RANGE_FACTOR:g})"
    return contact_sheet(rows, columns, row_labels=labels, title=title, cell=CELL)


def same_figure(model: Denoiser, steps: int, advance: Advance) -> Image.Image:
    """Property 3: references that differ in detail and agree in phi_N(y), and their samples."""
    y_0 = _reference(SAME_REFERENCE, model)
    phi = LowPass(SAME_FACTOR)
    noise = torch.randn(y_0.shape, generator=torch.Generator().manual_seed(0))
    references = torch.cat(
        [
            y_0,
            with_details_of(torch.zeros_like(y_0), y_0, SAME_FACTOR),
            with_details_of(_reference(DETAILS, model), y_0, SAME_FACTOR),
            with_details_of(noise, y_0, SAME_FACTOR),
        ]
    )
    each = references.repeat_interleave(len(SAME_SEEDS), dim=0)
    x = sample(
        model,
        Reference(each, SAME_FACTOR),
        steps=steps,
        seed=list(SAME_SEEDS) * len(references),
        callback=lambda *_: advance(),
    ).cpu()
    by_reference = x.reshape(len(references), len(SAME_SEEDS), *x.shape[1:])
    columns = [Column("reference"), Column("phi_N of it")]
    columns += [
        Column(f"seed {seed}", gap=20 if k == 0 else 6, group="samples")
        for k, seed in enumerate(SAME_SEEDS)
    ]
    columns.append(Column("largest difference\nfrom the first row", gap=20))
    rows: list[list[Image.Image | None]] = [
        [
            *to_images(torch.cat([y, phi(y)])),
            *to_images(samples),
            number_cell((samples - by_reference[0]).abs().max().item(), ".0e"),
        ]
        for y, samples in zip(references.unsqueeze(1), by_reference, strict=True)
    ]
    labels = ["the picture", "only what phi_N sees", "a rocket's details", "noise as details"]
    title = f"Property 3: of the reference only phi_N(y) counts (N = {SAME_FACTOR:g})"
    return contact_sheet(rows, columns, row_labels=labels, title=title, cell=CELL)


def with_details_of(z: Tensor, y: Tensor, factor: float) -> Tensor:
    """What is nearest to z among the pictures with phi_N(x) = phi_N(y), for the cubic kernel.

    x = z + D^+ D (y - z) along both axes: phi_N = U D sees no more of a picture than D does.

    Args:
        z: whose details, (..., H, W).
        y: whose low frequencies, the same shape.
        factor: N.
    """
    rows, columns = (
        torch.linalg.pinv(down) @ down
        for down in (low_pass_matrices(length, factor, "cubic")[0] for length in y.shape[-2:])
    )
    moved: Tensor = z + rows @ (y - z).double() @ columns.T
    return moved.to(y.dtype)


def number_cell(value: float, form: str = ".3f") -> Image.Image:
    """A number on a ground that is bluer the larger it is."""
    picture = Image.new("RGB", (CELL, CELL), _blue(value))
    font = ImageFont.load_default(16)
    dark = value < MOST / 2
    text = format(value, form)
    place = CELL / 2, CELL / 2
    ImageDraw.Draw(picture).text(place, text, INK if dark else "white", font, anchor="mm")
    return picture


def heat_map(values: Tensor) -> Image.Image:
    """Values (H, W), bluer the larger they are."""
    height, width = values.shape
    picture = Image.new("RGB", (width, height))
    picture.putdata([_blue(value) for value in values.flatten().tolist()])
    return picture


def _blue(value: float) -> tuple[int, int, int]:
    share = min(value / MOST, 1.0)
    red, green, blue = (round(255 + share * (channel - 255)) for channel in BLUE)
    return red, green, blue


def _first(rows: Sequence[object], y_0: Tensor) -> Image.Image | None:
    """The reference in the first row only."""
    return None if rows else to_images(y_0)[0]


def _reference(name: str, model: Denoiser) -> Tensor:
    side = model.config.image_size
    return to_tensor(fit_to(read_image(REFERENCES / f"{name}.png"), (side, side)))
