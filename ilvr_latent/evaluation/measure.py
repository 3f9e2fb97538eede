"""The numbers of each row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics.distribution import distances
from ..metrics.domain import Domain, pooled_features
from ..metrics.perceptual import diversity, low_pass_residual
from ..metrics.protocols import FeatureExtractor, PerceptualDistance
from .plan import Setting

HELD_OUT, UNGUIDED_SAMPLES = "held-out pictures", "unguided samples"


@dataclass(frozen=True)
class Row:
    """One row of a table; what does not apply to it is ``None``.

    Attributes:
        name: what was measured.
        pictures: how many; FID depends on it.
        fid: Frechet distance of the pooled features from the domain's.
        kid: kernel distance of the same.
        diversity: mean perceptual distance of samples of one reference.
        residual: root mean square of phi_N(sample - reference).
        reference_distance: mean perceptual distance from the reference.
        factor: N.
        hi: start of the conditioning range.
        lo: its end.
    """

    name: str
    pictures: int
    fid: float
    kid: float
    diversity: float | None = None
    residual: float | None = None
    reference_distance: float | None = None
    factor: float | None = None
    hi: int | None = None
    lo: int | None = None


@dataclass(frozen=True)
class Judge:
    """Measures samples against a domain and their references.

    Args:
        extractor: what FID and KID are measured by.
        perception: what diversity and the distance to the reference are measured by.
        domain: what the samples should look like, by the extractor.
        references: (R, 3, H, W) in [-1, 1].
        cell: pixels to one unit of N.
    """

    extractor: FeatureExtractor
    perception: PerceptualDistance
    domain: Domain
    references: Tensor
    cell: int = 1

    def yardsticks(self, samples: int) -> list[Row]:
        """What to compare rows of so many samples a reference with, at the same number of pictures.

        The references count ``samples`` times each: as in the rows, several pictures then show the
        same thing, which raises FID and KID by itself.
        """
        z = pooled_features(self.extractor, self.references).repeat_interleave(samples, dim=0)
        rows = [self._distances(f"the references, {samples} times each", z)]
        if self.domain.held_out is not None:
            rows.insert(0, self._distances(HELD_OUT, self.domain.held_out[: len(z)]))
        return rows

    def row(self, setting: Setting, samples: Tensor) -> Row:
        """Measure the samples (R, K, 3, H, W) of a setting."""
        z = pooled_features(self.extractor, samples.flatten(0, 1))
        varied = sum(diversity(self.perception, x) for x in samples) / len(samples)
        found = distances(z, self.domain.features)
        if setting.factor is None:
            return Row(UNGUIDED_SAMPLES, found.pictures, found.fid, found.kid, varied)
        return Row(
            f"N = {setting.factor:g}, t = {setting.hi} to {setting.lo}",
            found.pictures,
            found.fid,
            found.kid,
            varied,
            residual=self._residual(samples, setting.factor * self.cell),
            reference_distance=self._reference_distance(samples),
            factor=setting.factor,
            hi=setting.hi,
            lo=setting.lo,
        )

    def _residual(self, samples: Tensor, factor: float) -> float:
        y_0 = self.references.repeat_interleave(samples.shape[1], dim=0)
        return low_pass_residual(samples.flatten(0, 1), y_0, factor).mean().item()

    def _reference_distance(self, samples: Tensor) -> float:
        away = [
            self.perception.distance(x, y_0.expand_as(x))
            for x, y_0 in zip(samples, self.references, strict=True)
        ]
        return torch.cat(away).mean().item()

    def _distances(self, name: str, features: Tensor) -> Row:
        found = distances(features, self.domain.features)
        return Row(name, found.pictures, found.fid, found.kid)
