"""The latent figure of ``ilvr demo``: a prompt, a reference, and how much of it is kept."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from ..embedded import REFERENCES
from ..guides.reference import Reference
from ..guides.window import Window
from ..pictures.images import read_image
from ..pictures.sheet import Column, contact_sheet
from .common import Advance

ROWS = ("noto_apple", "twemoji_sunflower", "scribble_smiley", "photo_coffee")
FACTORS = (1.0, 2.0, 4.0)
PROMPTS = ("cat face", "red heart")
WINDOW = Window(0, 0.7)
STEPS, GUIDANCE_SCALE = 20, 4.0
SEED = 6  # of eight, that whose cats look best
CALLS = STEPS * len(FACTORS) * len(PROMPTS)


def latent_figure(pipe: Any, advance: Advance, *, cell: int) -> Image.Image:
    """Rows: references. For each prompt: one sample for each N, all from the same noise.

    Args:
        pipe: the embedded latent pipeline.
        advance: called after each step.
        cell: side of a picture in the figure, in pixels.
    """
    from ..pipelines import encode_reference

    references = [read_image(REFERENCES / f"{name}.png") for name in ROWS]
    y_0 = torch.cat([encode_reference(pipe, picture) for picture in references])
    columns = [Column("reference")]
    rows: list[list[Image.Image | None]] = [[picture] for picture in references]
    for prompt in PROMPTS:
        for factor in FACTORS:
            gap = 24 if factor == FACTORS[0] else 6
            columns.append(Column(f"N = {factor:g}", gap=gap, group=f"“{prompt}”"))
            for row, picture in zip(
                rows, _samples(pipe, y_0, prompt, factor, advance), strict=True
            ):
                row.append(picture)
    title = "In latent space: what the reference leaves free follows the prompt"
    return contact_sheet(rows, columns, title=title, cell=cell)


def _samples(
    pipe: Any, y_0: torch.Tensor, prompt: str, factor: float, advance: Advance
) -> list[Image.Image]:
    """One picture for each reference (B, 4, 16, 16)."""
    from ..pipelines import ILVRCallback

    callback = ILVRCallback(pipe, Reference(y_0, factor, window=WINDOW), seed=SEED)

    def guide_and_advance(*step: Any) -> dict[str, Any]:
        advance()
        guided: dict[str, Any] = callback(*step)
        return guided

    made: list[Image.Image] = pipe(
        [prompt] * len(y_0),
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE_SCALE,
        generator=[torch.Generator().manual_seed(SEED) for _ in y_0],
        callback_on_step_end=guide_and_advance,
    ).images
    return made
