"""One decoded picture, whose latent has the low frequencies of a reference's latent."""

from __future__ import annotations

import torch
from torch import Tensor

from ilvr_latent import LowPass, match, match_picture

from .photographs import delta_e, low_band_psnr, mean_offset
from .vae import PIXELS_A_CELL, TinyVAE

FACTORS = (2, 4, 8, 16)
Row = tuple[str, dict[str, Tensor]]


def rows(vae: TinyVAE, pictures: Tensor, latents: Tensor) -> list[Row]:
    """For each N, in cells: what is left after each way of matching, by photograph."""
    found: list[Row] = []
    for cells in FACTORS:
        n = cells * PIXELS_A_CELL
        # Each photograph, led by the next one.
        x = match(latents, latents.roll(-1, 0), LowPass(cells))
        y, p = pictures.roll(-1, 0), vae.decode(x).clamp(-1, 1)
        ways = {"the latent": p, "the picture, once": match(p, y, LowPass(n)).clamp(-1, 1)}
        ways["match_picture"] = match_picture(p, y, n)
        for times in (1, 2):
            x = x + vae.encode(match_picture(p, y, n)) - vae.encode(p)
            p = vae.decode(x).clamp(-1, 1)
            ways[f"the picture, encoded back {times}x"] = p
        found += [(f"N = {cells} cells: {way}", left(z, y, n)) for way, z in ways.items()]
    return found


def kernels(vae: TinyVAE, pictures: Tensor, latents: Tensor) -> list[Row]:
    """What the kernel of match_picture does: edges at borders of cells, and change of detail."""
    y, n = pictures.roll(-1, 0), 4 * PIXELS_A_CELL
    p = vae.decode(match(latents, latents.roll(-1, 0), LowPass(4))).clamp(-1, 1)
    found: list[Row] = []
    for kernel in ("cubic", "linear", "lanczos3", "box", "spectral"):
        z = match_picture(p, y, n, kernel)
        found.append((kernel, {**left(z, y, n), "edges": _edges(z - p, n), "moved": _moved(z, p)}))
    return found


def left(z: Tensor, y: Tensor, n: float) -> dict[str, Tensor]:
    """Between a result and its reference."""
    return {
        "dB": low_band_psnr(z, y, n),
        "delta_e": delta_e(z, y, n),
        "offset": mean_offset(z, y),
    }


def _edges(change: Tensor, n: int) -> Tensor:
    """The steps of a change at borders of cells, against those elsewhere; 1 = none."""
    steps = change.diff(dim=-1).abs().mean((1, 2))
    at_borders = torch.arange(1, steps.shape[-1] + 1) % n == 0
    return steps[:, at_borders].mean(1) / steps[:, ~at_borders].mean(1)


def _moved(z: Tensor, p: Tensor) -> Tensor:
    """Root mean square of the change, in levels of eight bits."""
    return (z - p).square().mean((1, 2, 3)).sqrt() * 127.5
