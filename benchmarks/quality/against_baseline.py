"""The numbers of each row, against those of a baseline.

theta       a row's FID over the baseline's, or its KID minus the baseline's, of all pictures
theta_(r)   the same without the pictures of reference r; its jackknife has the standard error
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.jackknife import error_of
from ilvr_latent import LowPass
from ilvr_latent.evaluation.measure import Sampled
from ilvr_latent.guides.spectrum import frequencies, radial_power_spectrum
from ilvr_latent.metrics.distribution import Distances
from ilvr_latent.metrics.network import FeatureNetwork

from .study import FACTOR

# Cycles per pixel from which structure is called fine: the finest octave that there is.
FINE = 0.25


def fine_power(x: Tensor) -> float:
    """Mean power of the finest octave of pictures (..., S, S)."""
    power = radial_power_spectrum(x)
    fine = torch.tensor([frequency >= FINE for frequency in frequencies(len(power))])
    return power[fine].mean().item()


def contrast(x: Tensor) -> float:
    """Root mean square of what phi_N leaves of pictures (..., S, S), about each picture's mean."""
    coarse = LowPass(FACTOR)(x)
    return (coarse - coarse.mean(dim=(-2, -1), keepdim=True)).square().mean().sqrt().item()


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error over references; NaN where there is only one."""

    value: float
    error: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """From the value of all references, then those without each of them."""
        whole, *without = values
        return cls(whole, error_of(without) if len(without) > 1 else math.nan)


@dataclass(frozen=True)
class Measured:
    """What the table says of a row.

    Attributes:
        fid: Frechet distance from the domain.
        ratio: of FID to the baseline's.
        kid: kernel distance from the domain.
        more_kid: kid minus the baseline's.
        diversity: mean perceptual distance of two samples of one reference.
        residual: root mean square of phi_N(sample - reference).
        fine: power of the finest octave over the baseline's: below 1 blurred, above 1 noisy.
        contrast: of the low frequencies over the references': below 1 washed out.
    """

    fid: float
    ratio: Estimate
    kid: float
    more_kid: Estimate
    diversity: float
    residual: float
    fine: float
    contrast: float


def measured(
    row: Sampled, baseline: Sampled, references: Tensor, network: FeatureNetwork
) -> Measured:
    """Measure a row.

    Args:
        row: its pictures.
        baseline: those of the baseline, from the same references.
        references: (R, 3, S, S) in [-1, 1].
        network: what pictures are compared by.
    """
    pairs = list(zip(_jackknifed(row), _jackknifed(baseline), strict=True))
    return Measured(
        fid=row.distances.fid,
        ratio=Estimate.of([own.fid / other.fid for own, other in pairs]),
        kid=row.distances.kid,
        more_kid=Estimate.of([own.kid - other.kid for own, other in pairs]),
        diversity=row.diversity(network),
        residual=row.residual(references, FACTOR),
        fine=fine_power(row.pictures) / fine_power(baseline.pictures),
        contrast=contrast(row.pictures) / contrast(references),
    )


def _jackknifed(row: Sampled) -> list[Distances]:
    """Of all pictures, then without those of each reference."""
    return [row.distances, *row.distances_without_each]
