"""The layout itself with the style's statistics: no network draws anything."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ilvr_latent import Run, SeededNoise, recolour
from ilvr_latent.diffusion import Schedule

from .ways import style_of


class Codec(Protocol):
    """Between pictures in [-1, 1] and what is sampled."""

    def encode(self, pictures: Tensor) -> Tensor:
        """To what is sampled."""
        ...

    def decode(self, sampled: Tensor) -> Tensor:
        """And back."""
        ...


def without_network(codec: Codec, a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """Pictures by way, of layouts and styles as they are sampled."""
    made = {"A itself": a, "A recoloured": recolour(a, b), "A in B's bands": in_bands(a, b)}
    return {way: codec.decode(x).clamp(-1, 1).float() for way, x in made.items()}


def in_bands(a: Tensor, b: Tensor) -> Tensor:
    """A as the guide would change it, were it a prediction."""
    schedule = Schedule("linear", 1000, 1)
    run = Run(schedule, tuple(a.shape), a.device, SeededNoise(0))
    begun = style_of(b).begin(run)
    assert begun is not None
    return begun.prediction(a, a, schedule.steps[0])
