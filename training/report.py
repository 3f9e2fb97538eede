"""What the model cards have in common: the loss curve and the search for recited pictures."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image, ImageDraw
from torch import Tensor


def resized(images: Tensor, side: int) -> Tensor:
    """uint8 (K, 3, 128, 128) to (K, 3, side, side) in [-1, 1]."""
    x = F.interpolate(images.float() / 127.5 - 1, (side, side), mode="bicubic", antialias=True)
    return x.clamp(-1, 1)


def tiled(images: Tensor, columns: int = 8) -> Image.Image:
    """(K, 3, S, S) in [-1, 1] side by side."""
    rows = rearrange(images, "(r c) d h w -> (r h) (c w) d", c=columns)
    return Image.fromarray(((rows + 1) * 127.5).round().clamp(0, 255).byte().numpy())


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of pictures in [-1, 1], (B,)."""
    return 10 * torch.log10(4 / (x - y).square().mean(dim=(1, 2, 3)))


def nearest(queries: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """RMS distance to the nearest picture of a pool, mirrored or not, and its index."""
    q = queries.flatten(1)
    distances = torch.minimum(
        torch.cdist(q, pool.flatten(1)), torch.cdist(q, pool.flip(-1).flatten(1))
    )
    best = distances.min(dim=1)
    return best.values / q.shape[1] ** 0.5, best.indices


def curve(log: Path) -> Image.Image:
    """The training loss against pictures seen, both axes logarithmic.

    What a run had done after the checkpoint that it went on from is left out.
    """
    records: list[dict[str, float]] = []
    for written in log.read_text().splitlines():
        if "loss" in (record := json.loads(written)):
            records = [earlier for earlier in records if earlier["seen"] < record["seen"]]
            records.append(record)
    points = torch.tensor([[r["seen"], r["loss"]] for r in records]).log10()
    low, high = points.min(dim=0).values, points.max(dim=0).values
    width, height, left, top = 560, 260, 70, 20
    picture = Image.new("RGB", (width + left + 40, height + top + 50), "white")
    draw = ImageDraw.Draw(picture)
    scaled = (points - low) / (high - low)
    line = [(left + x * width, top + (1 - y) * height) for x, y in scaled.tolist()]
    draw.line(line, fill=(200, 60, 40), width=2)
    draw.rectangle((left, top, left + width, top + height), outline=(160, 160, 160))
    for value, y in ((high[1], top), (low[1], top + height)):
        draw.text((left - 6, y), f"{10**value:.3g}", "black", anchor="rm")
    for value, x in ((low[0], left), (high[0], left + width)):
        draw.text((x, top + height + 14), f"{10**value:,.0f}", "black", anchor="mm")
    draw.text((left + width / 2, top + height + 34), "pictures seen", "black", anchor="mm")
    draw.text((left + 8, top + height - 8), "weighted v-loss", "black", anchor="ld")
    return picture
