"""``ilvr demo``: three figures from the embedded models, with nothing downloaded."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from ..adm import with_perturbed_attention
from ..diffusion.loop import sample_with
from ..diffusion.noise import SeededNoise
from ..diffusion.side_by_side import SideBySide
from ..embedded import REFERENCES, load_embedded, load_embedded_pipeline
from ..guides.ilvr import ILVR
from ..guides.lowpass import LowPass
from ..guides.reference import Reference
from ..guides.window import Window
from ..pictures.files import output_folder
from ..pictures.images import fit_to, read_image, save_png, to_images, to_tensor
from ..pictures.sheet import Column, contact_sheet
from . import demo_latent
from .batches import MOST
from .common import Advance, choose_device, choose_dtype, progress, quiet_diffusers

if TYPE_CHECKING:
    from ..adm.unet import ADM

EXAMPLE = "ilvr demo --output demo-output"

FACTORS = (2.0, 4.0, 8.0, 16.0)
FACTOR_ROWS = ("noto_frog", "scribble_apple", "photo_coffee", "twemoji_rocket")
RANGES = ((1000, 0), (1000, 500), (1000, 750), (1000, 900))
RANGE_ROWS = ("noto_pumpkin", "scribble_car", "twemoji_sunflower")
RANGE_FACTOR = 4.0
SEEDS = (0, 1)
STEPS = "50"
CELL = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--output", type=Path, default=Path("demo-output"), metavar="DIR")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")


@dataclass(frozen=True)
class Figure:
    """A figure whose cells are one reference each, sampled at several settings.

    Attributes:
        rows: names of shipped references.
        settings: factor and window of each group of columns.
        perturbed_attention: scale of that guidance, 0 without.
    """

    rows: tuple[str, ...]
    settings: tuple[tuple[float, Window], ...]
    perturbed_attention: float = 0.0

    def references(self, side: int) -> Tensor:
        """(rows, 3, side, side) in [-1, 1]."""
        pictures = (read_image(REFERENCES / f"{name}.png") for name in self.rows)
        return torch.cat([to_tensor(fit_to(picture, (side, side))) for picture in pictures])

    def samples(
        self, model: ADM, references: Tensor, advance: Advance
    ) -> list[list[list[Image.Image]]]:
        """Pictures under [setting][row][seed]."""
        model = with_perturbed_attention(model, self.perturbed_attention)
        y_0 = references.repeat_interleave(len(SEEDS), dim=0)
        seeds = list(SEEDS) * len(self.rows)
        pictures: list[Image.Image] = []
        for settings in self.batches:
            parts = [
                (ILVR(Reference(y_0, factor, window=window)), len(y_0))
                for factor, window in settings
            ]
            x = sample_with(
                model,
                SideBySide(parts),
                shape=(len(settings) * len(y_0), *y_0.shape[1:]),
                steps=STEPS,
                noise=SeededNoise(seeds * len(settings), model.device),
                callback=lambda step, x: advance(),
            )
            pictures += to_images(x)
        taken = iter(pictures)
        return [[[next(taken) for _ in SEEDS] for _ in self.rows] for _ in self.settings]

    @property
    def batches(self) -> list[tuple[tuple[float, Window], ...]]:
        """The settings that are sampled at once."""
        size = max(1, MOST // (len(self.rows) * len(SEEDS)))
        return [self.settings[k : k + size] for k in range(0, len(self.settings), size)]


# With N = 16 the model is nearly alone, and frays what it draws.
FACTOR_FIGURE = Figure(
    FACTOR_ROWS, tuple((factor, Window()) for factor in FACTORS), perturbed_attention=2.0
)
RANGE_FIGURE = Figure(
    RANGE_ROWS, tuple((RANGE_FACTOR, Window.timesteps(hi, lo)) for hi, lo in RANGES)
)


def run(options: argparse.Namespace) -> None:
    """Sample both figures, write them and say what to look at."""
    started = time.monotonic()
    folder = output_folder(options.output)
    device = choose_device(options.device)
    dtype = choose_dtype("auto", device, "embedded")
    how = f"with {torch.get_num_threads()} threads" if device.type == "cpu" else "with its GPU"
    print(f"Three figures on {device}, {how}; two free cores take about a minute.", flush=True)
    model = load_embedded(device=device, dtype=dtype)
    quiet_diffusers()
    pipe = load_embedded_pipeline(device=device, dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    batches = len(FACTOR_FIGURE.batches) + len(RANGE_FIGURE.batches)
    calls = int(STEPS) * batches + demo_latent.CALLS
    with progress("demo", calls) as advance:
        save_png(factor_figure(model, advance), folder / "factor.png")
        save_png(range_figure(model, advance), folder / "range.png")
        latent = demo_latent.latent_figure(pipe, advance, cell=CELL)
        save_png(latent, folder / "latent.png")
    print(f"Made on {device} in {time.monotonic() - started:.0f} s:")
    print(f"  {folder / 'factor.png'}  reference, its low-pass, samples: larger N, more freedom")
    print(f"  {folder / 'range.png'}   the same N, matching stopped earlier and earlier")
    print(f"  {folder / 'latent.png'}  in latent space: what N leaves free follows a prompt")
    print("Try next, with a picture of yours:")
    print("  .venv/bin/ilvr sample --reference PICTURE --factor 4 8 --samples 4 --output out")


def factor_figure(model: ADM, advance: Advance) -> Image.Image:
    """Rows: references. For each N: the low-pass that is matched, and two samples."""
    references = FACTOR_FIGURE.references(model.config.image_size)
    made = FACTOR_FIGURE.samples(model, references, advance)
    columns = [Column("reference")]
    rows: list[list[Image.Image | None]] = [[picture] for picture in to_images(references)]
    for (factor, _), pictures in zip(FACTOR_FIGURE.settings, made, strict=True):
        group = f"N = {factor:g}"
        columns.append(Column("matched", gap=24, group=group))
        columns += [Column(f"sample {k + 1}", group=group) for k in range(len(SEEDS))]
        for row, low, samples in zip(
            rows, to_images(LowPass(factor)(references)), pictures, strict=True
        ):
            row += [low, *samples]
    title = "ILVR: the sample takes the low frequencies of the reference, the model makes the rest"
    return contact_sheet(rows, columns, title=title, cell=CELL)


def range_figure(model: ADM, advance: Advance) -> Image.Image:
    """Rows: references. Columns: the last matched timestep, at one N."""
    references = RANGE_FIGURE.references(model.config.image_size)
    made = RANGE_FIGURE.samples(model, references, advance)
    columns = [Column("reference"), Column("matched")]
    low = to_images(LowPass(RANGE_FACTOR)(references))
    rows: list[list[Image.Image | None]] = [
        [picture, blurred] for picture, blurred in zip(to_images(references), low, strict=True)
    ]
    for (hi, lo), pictures in zip(RANGES, made, strict=True):
        group = f"t = {hi} to {lo}"
        columns += [
            Column(f"sample {k + 1}", gap=24 if k == 0 else 6, group=group)
            for k in range(len(SEEDS))
        ]
        for row, samples in zip(rows, pictures, strict=True):
            row += samples
    title = f"Conditioning range at N = {RANGE_FACTOR:g}: matching while t is in the range"
    return contact_sheet(rows, columns, title=title, cell=CELL)
