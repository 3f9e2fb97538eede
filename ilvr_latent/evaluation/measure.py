"""The numbers of each row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..metrics.distribution import Distances, distances
from ..metrics.domain import Domain, pooled_features
from ..metrics.perceptual import diversity, low_pass_residual
from ..metrics.protocols import FeatureExtractor, PerceptualDistance
from .rows import Setting

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
class Sampled:
    """The pictures of a row as the measures need them.

    Args:
        pictures: (R, K, 3, H, W) in [-1, 1], K of each reference.
        extractor: what FID and KID are measured by.
        domain: what the pictures should look like, by the extractor.
    """

    pictures: Tensor
    extractor: FeatureExtractor
    domain: Domain

    @cached_property
    def _features(self) -> list[Tensor]:
        return [pooled_features(self.extractor, of_one) for of_one in self.pictures]

    @cached_property
    def distances(self) -> Distances:
        """From the domain."""
        return distances(torch.cat(self._features), self.domain.features)

    @cached_property
    def distances_without_each(self) -> list[Distances]:
        """The same without the pictures of one reference, for each of them in turn."""
        z = self._features
        kept = (z[:r] + z[r + 1 :] for r in range(len(z)))
        return [distances(torch.cat(of_some), self.domain.features) for of_some in kept]

    def diversity(self, perception: PerceptualDistance) -> float:
        """Mean perceptual distance of samples of one reference."""
        return sum(diversity(perception, of_one) for of_one in self.pictures) / len(self.pictures)

    def residual(self, references: Tensor, factor: float) -> float:
        """Root mean square of phi_N(sample - reference); references (R, 3, H, W), N in pixels."""
        y_0 = references.repeat_interleave(self.pictures.shape[1], dim=0)
        return low_pass_residual(self.pictures.flatten(0, 1), y_0, factor).mean().item()


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
        sampled = Sampled(samples, self.extractor, self.domain)
        found, varied = sampled.distances, sampled.diversity(self.perception)
        if setting.factor is None:
            return Row(UNGUIDED_SAMPLES, found.pictures, found.fid, found.kid, varied)
        return Row(
            f"N = {setting.factor:g}, t = {setting.hi} to {setting.lo}",
            found.pictures,
            found.fid,
            found.kid,
            varied,
            residual=sampled.residual(self.references, setting.factor * self.cell),
            reference_distance=self._reference_distance(samples),
            factor=setting.factor,
            hi=setting.hi,
            lo=setting.lo,
        )

    def _reference_distance(self, samples: Tensor) -> float:
        away = [
            self.perception.distance(x, y_0.expand_as(x))
            for x, y_0 in zip(samples, self.references, strict=True)
        ]
        return torch.cat(away).mean().item()

    def _distances(self, name: str, features: Tensor) -> Row:
        found = distances(features, self.domain.features)
        return Row(name, found.pictures, found.fid, found.kid)
