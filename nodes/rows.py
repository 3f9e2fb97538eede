"""Which picture of a batch each row of a run is: a picture's noise and reference go by that.

The host's samplers are not told the ``batch_index`` of a latent ("Latent From Batch"), but the
noise of each row tells it: the host draws row after row from one seed. Where there is no such noise
(the second stage of a two-stage run, noise of another pack), a row is known by its place, and its
numbers are told from those of other rows by what the row holds.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

# The host's samplers draw from the seed itself; a guide must not repeat their numbers.
SEED_OFFSET = 0x494C5652
# Two stages of a picture begin apart by at least so much of the timesteps.
STAGES = 20
STAGE_SEED, ROW_SEED = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03
# A row is compared by its first numbers, and looked for among so many rows, or numbers in all.
COMPARED, MOST_ROWS, MOST_NUMBERS = 16, 1024, 2**24
# A row is known again by so many sums of its numbers, coarse enough to bear rounding.
SUMS, COARSENESS = 8, 16.0


class Rows:
    """The rows of one run.

    Args:
        noise: (B, ...), as the sampler is given it.
        latent: (B, ...), what the sampler begins with besides, or ``None``.
        seed: of the sampler.
        begins_at: fraction of the timesteps at which the run begins.

    Attributes:
        pictures: which picture of its batch each row is, from 0.
        seeds: of the noise that a guide draws for each row.
    """

    def __init__(self, noise: Tensor, latent: Tensor | None, seed: int, begins_at: float) -> None:
        silent = not bool(noise.any())
        found = None if silent else _drawn_as(noise, seed)
        # Rows of the same noise ("Latent Batch Seed Behavior": fixed) are known by their places.
        told_apart = found is not None and len(set(found)) == len(found)
        self.pictures = found if found and told_apart else list(range(len(noise)))
        stage = round(begins_at * STAGES) * STAGE_SEED
        own = found if found is not None else self.pictures
        if silent and latent is not None and latent.shape == noise.shape and bool(latent.any()):
            own = [_sums(row) * ROW_SEED for row in latent.detach().cpu().float()]
            stage += STAGE_SEED
        self.seeds = [(seed + SEED_OFFSET + stage + row) % 2**64 for row in own]


def _drawn_as(noise: Tensor, seed: int) -> list[int] | None:
    """The place of each row among those that the host draws from a seed; ``None``: it is not."""
    wanted = noise.flatten(1)[:, :COMPARED].cpu().float()
    generator = Generator().manual_seed(seed % 2**64)
    found: dict[int, int] = {}
    most = min(MOST_ROWS, max(len(noise), MOST_NUMBERS // max(noise[0].numel(), 1)))
    for place in range(most):
        drawn = torch.randn(noise.shape[1:], generator=generator).flatten()[:COMPARED]
        for row in (wanted == drawn).all(1).nonzero().flatten().tolist():
            found.setdefault(row, place)
        if len(found) == len(noise):
            return [found[row] for row in range(len(noise))]
    return None


def _sums(row: Tensor) -> int:
    """A number that rows with the same content have in common, up to rounding."""
    parts = row.flatten().tensor_split(SUMS)
    coarse = [round(float(part.sum()) / max(len(part), 1) ** 0.5 * COARSENESS) for part in parts]
    number = 0
    for value in coarse:
        number = (number * 1_000_003 + value) % 2**64
    return number
