"""The numbers of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics.distribution import distances
from ..metrics.domain import Domain, pooled_features
from ..metrics.network import FeatureNetwork
from ..metrics.perceptual import diversity, low_pass_residual, perceptual_distance
from .plan import Setting


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
    """Measures samples by one network against one domain.

    Args:
        network: what pictures are compared by.
        domain: what they should look like.
        references: (R, 3, S, S) in [-1, 1].
    """

    network: FeatureNetwork
    domain: Domain
    references: Tensor

    def yardsticks(self, samples: int) -> list[Row]:
        """What to compare rows of so many samples a reference with, at the same number of pictures.

        The references count ``samples`` times each: as in the rows, several pictures then show the
        same thing, which raises FID and KID by itself.
        """
        z = pooled_features(self.network, self.references).repeat_interleave(samples, dim=0)
        rows = [self._distances(f"the references, {samples} times each", z)]
        if self.domain.held_out is not None:
            rows.insert(0, self._distances("held-out pictures", self.domain.held_out[: len(z)]))
        return rows

    @torch.inference_mode()
    def row(self, setting: Setting, samples: Tensor) -> Row:
        """Measure the samples (R, K, 3, S, S) of a setting."""
        levels = [self.network.levels(x) for x in samples]
        z = torch.cat([self.network.pooled(of_one) for of_one in levels])
        varied = sum(map(diversity, levels)) / len(levels) if samples.shape[1] > 1 else None
        found = distances(z, self.domain.features)
        if setting.factor is None:
            return Row("unguided samples", found.pictures, found.fid, found.kid, varied)
        return Row(
            f"N = {setting.factor:g}, t = {setting.hi} to {setting.lo}",
            found.pictures,
            found.fid,
            found.kid,
            varied,
            residual=self._residual(samples, setting.factor),
            reference_distance=self._reference_distance(levels),
            factor=setting.factor,
            hi=setting.hi,
            lo=setting.lo,
        )

    def _residual(self, samples: Tensor, factor: float) -> float:
        y_0 = self.references.repeat_interleave(samples.shape[1], dim=0)
        return low_pass_residual(samples.flatten(0, 1), y_0, factor).mean().item()

    def _reference_distance(self, levels: Sequence[Sequence[Tensor]]) -> float:
        of_references = self.network.levels(self.references)
        away = [
            perceptual_distance(of_one, [level[r : r + 1] for level in of_references])
            for r, of_one in enumerate(levels)
        ]
        return torch.cat(away).mean().item()

    def _distances(self, name: str, features: Tensor) -> Row:
        found = distances(features, self.domain.features)
        return Row(name, found.pictures, found.fid, found.kid)
