"""Guidance by perturbed attention: what its scale does, in figures and side by side."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor

from ilvr_latent import Reference, Window, sample, with_perturbed_attention
from ilvr_latent.adm.unet import ADM
from ilvr_latent.evaluation.tables import markdown_table
from ilvr_latent.pictures.images import to_images
from ilvr_latent.pictures.sheet import Column, contact_sheet

from . import unguided
from .core_maker import SETTINGS, steps_of
from .study import named_references, say_at_once

SAMPLER, CALLS = "unipc_damped, early", 20
SCALES = (0.0, 1.0, 2.0, 3.0)
HEADINGS = ("scale", "FID, domain", "KID", "FID, ImageNet", "KID", "saturation")

NAMES = (
    *("noto_frog", "noto_apple", "scribble_smiley"),
    *("noto_pumpkin", "scribble_car", "twemoji_sunflower"),
)
SHOWN = 2.0
# N and the end of the range, of every pair of columns.
PAIRS = ((4.0, 0.5), (8.0, 1.0), (16.0, 1.0))
CELL, SEED = 128, 0


def markdown(model: ADM, samples: int) -> str:
    """A row for each scale, all of the same seeds, without a reference.

    Args:
        model: the pixel model, whose domain is known to both networks.
        samples: of each row.
    """
    rows = []
    for scale in SCALES:
        say_at_once(f"scale {scale:g}")
        guided = with_perturbed_attention(model, scale)
        x = unguided.drawn(guided, SAMPLER, CALLS, samples)
        rows.append((f"{scale:g}", *unguided.distance_cells(x), unguided.saturation_cell(x)))
    table = markdown_table(HEADINGS, rows)
    return f"{samples} samples, {SAMPLER}, {CALLS} calls.\n\n{table}\n"


def figure(model: ADM) -> Image.Image:
    """Rows: references. Columns: without and with it, at some N and ends; the same seed."""
    y = named_references(NAMES, model.config.image_size)
    columns, cells = [Column("reference")], [to_images(y)]
    for factor, end in PAIRS:
        until = "" if end == 1 else f", end {end:g}"
        for k, made in enumerate(_pair(model, y, factor, end)):
            label = f"scale {SHOWN:g}" if k else "without"
            columns.append(Column(label, gap=6 if k else 20, group=f"N = {factor:g}{until}"))
            cells.append(to_images(made))
    rows: list[list[Image.Image | None]] = [list(row) for row in zip(*cells, strict=True)]
    return contact_sheet(rows, columns, cell=CELL)


@torch.inference_mode()
def _pair(model: ADM, y: Tensor, factor: float, end: float) -> Iterator[Tensor]:
    """Without and with it, (B, C, S, S)."""
    reference, sampling = Reference(y, factor, window=Window(0.0, end)), SETTINGS[SAMPLER]
    for scale in (0.0, SHOWN):
        x = sample(
            with_perturbed_attention(model, scale),
            reference,
            steps=steps_of(SAMPLER, CALLS),
            reference_noise="hybrid",
            seed=[SEED] * len(y),
            **sampling,
        )
        yield x.clamp(-1, 1)
