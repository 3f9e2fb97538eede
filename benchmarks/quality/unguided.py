"""Samplers and spacings without a reference, where nothing holds the picture but the model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from ilvr_latent import sample
from ilvr_latent.diffusion.denoiser import Denoiser
from ilvr_latent.evaluation.tables import markdown_table
from ilvr_latent.metrics.distribution import distances
from ilvr_latent.metrics.domain import (
    EMBEDDED_DOMAIN,
    IMAGENET_DOMAIN,
    load_embedded_domain,
    pooled_features,
)
from ilvr_latent.metrics.imagenet import load_imagenet_network
from ilvr_latent.metrics.network import load_feature_network
from ilvr_latent.metrics.protocols import FeatureExtractor

from .against_baseline import fine_power
from .core_maker import SETTINGS, steps_of
from .study import say_at_once

SAMPLES, QUICK_SAMPLES = 192, 48
BATCH = 48
# The last is what *fine* is measured against.
ROWS = (
    *(("unipc_damped", n) for n in (6, 10, 20)),
    *(("unipc_damped, early", n) for n in (6, 10, 20)),
    *(("ddpm", 20), ("ddpm", 50), ("ddpm, early", 50), ("ddpm", 100)),
)
HEADINGS = ("sampler", "calls", "FID, domain", "KID", "FID, ImageNet", "KID", "saturation", "fine")


def markdown(model: Denoiser, samples: int) -> str:
    """Draw and measure every row; seeds are the same in all.

    Args:
        model: the pixel model, whose domain is known to both networks.
        samples: of each row.
    """
    found, power = [], []
    for sampler, steps in ROWS:
        say_at_once(f"{sampler}, {steps} calls")
        x = drawn(model, sampler, steps, samples)
        found.append((sampler, str(steps), *distance_cells(x), saturation_cell(x)))
        power.append(fine_power(x))
    rows = [(*cells, f"{own / power[-1]:.2f}") for cells, own in zip(found, power, strict=True)]
    return f"{samples} samples.\n\n{markdown_table(HEADINGS, rows)}\n"


@torch.inference_mode()
def drawn(model: Denoiser, sampler: str, steps: int, samples: int) -> Tensor:
    """Unguided samples of seeds 0, 1, ..., (samples, C, S, S) in [-1, 1]."""
    side, channels = model.config.image_size, model.config.image_channels
    parts = [
        sample(
            model,
            None,
            shape=(len(seeds), channels, side, side),
            steps=steps_of(sampler, steps),
            seed=seeds,
            **SETTINGS[sampler],
        )
        for first in range(0, samples, BATCH)
        if (seeds := range(first, min(first + BATCH, samples)))
    ]
    return torch.cat(parts).clamp(-1, 1)


def saturation(x: Tensor) -> Tensor:
    """Largest less smallest of the colours, 0 to 255, mean of each picture: (B,)."""
    return 127.5 * (x.amax(dim=1) - x.amin(dim=1)).mean(dim=(1, 2))


@cache
def _measures() -> tuple[tuple[FeatureExtractor, Tensor], ...]:
    """The domain's own network and one that never saw an emoji, each with the domain's features."""
    return (
        (load_feature_network(), load_embedded_domain(EMBEDDED_DOMAIN).features),
        (load_imagenet_network(), load_embedded_domain(IMAGENET_DOMAIN).features),
    )


def distance_cells(x: Tensor) -> Iterator[str]:
    """FID and KID x 1000 by both networks."""
    for (network, known), digits in zip(_measures(), (1, 0), strict=True):
        apart = distances(pooled_features(network, x), known)
        yield f"{apart.fid:.{digits}f}"
        yield f"{1000 * apart.kid:.0f}"


def saturation_cell(x: Tensor) -> str:
    """The mean with its standard error."""
    values = saturation(x)
    return f"{values.mean():.1f} ± {values.std() / len(values) ** 0.5:.1f}"
