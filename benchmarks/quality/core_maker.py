"""Rows that the core samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ilvr_latent import Reference, Window, sample
from ilvr_latent.diffusion.denoiser import Denoiser, DenoiserConfig
from ilvr_latent.guides.picture_match import match_picture

from .rows import Row
from .study import FACTOR

SETTINGS: dict[str, dict[str, Any]] = {
    "ddpm": {},
    "ddpm, early": {},
    "ddpm, fixed large": {"variance": "fixed_large"},
    "ddim, eta 0": {"sampler": "ddim", "eta": 0.0},
    "ddim, eta 1": {"sampler": "ddim", "eta": 1.0},
    "dpmpp_2m": {"sampler": "dpmpp_2m"},
    "unipc_damped": {"sampler": "unipc_damped"},
    "unipc_damped, early": {"sampler": "unipc_damped"},
    "unipc": {"sampler": "unipc"},
}


def steps_of(sampler: str, count: int) -> str:
    """So many, where the row's sampler has them."""
    return f"early{count}" if sampler.endswith(", early") else str(count)


@dataclass
class Counted:
    """A network that counts how often it is called.

    Attributes:
        model: the network.
        calls: so far.
    """

    model: Denoiser
    calls: int = 0

    @property
    def config(self) -> DenoiserConfig:
        """That of the network."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """As the network."""
        self.calls += 1
        return self.model(x, t, y)


@dataclass(frozen=True)
class CoreMaker:
    """Samples rows by :func:`ilvr_latent.sample`.

    Args:
        model: the network.
        references: (R, 3, S, S) in [-1, 1].
    """

    model: Denoiser
    references: Tensor

    def __call__(self, row: Row, seeds: list[int]) -> tuple[Tensor, int]:
        """One picture of each reference (R, 3, S, S), and the calls that they took together."""
        counted = Counted(self.model)
        x = sample(
            counted,
            Reference(self.references, FACTOR, window=Window(0.0, row.end)),
            steps=steps_of(row.sampler, row.steps),
            space=row.space,
            reference_noise=row.noise,
            seed=seeds,
            **SETTINGS[row.sampler],
        )
        if row.picture:
            x = match_picture(x, self.references, FACTOR)
        return x, counted.calls
