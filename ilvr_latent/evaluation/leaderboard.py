"""Methods against each other: what is measured of each, its spread over seeds, and its rank.

v     a number of all pictures of a method       v_g   the same of those of seed g, g = 1 .. G
±     t_{0.975, G-1} std(v_g) / sqrt(G)          the 95 % interval of the mean over seeds
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics.domain import Domain
from ..metrics.protocols import FeatureExtractor, PerceptualDistance
from .measure import Sampled
from .tables import markdown_table

# Student's t at 97.5 %, by degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: of all pictures.
        interval: half the width of the 95 % interval over seeds; ``None`` with one seed.
    """

    value: float
    interval: float | None

    @classmethod
    def of(cls, whole: float, of_seeds: Sequence[float]) -> Estimate:
        """From the number of all pictures, and those of each seed."""
        count = len(of_seeds)
        if count < 2:
            return cls(whole, None)
        spread = torch.tensor(of_seeds, dtype=torch.float64).std().item()
        t = STUDENT[min(count - 2, len(STUDENT) - 1)]
        return cls(whole, t * spread / math.sqrt(count))


@dataclass(frozen=True)
class Entry:
    """One method.

    Attributes:
        title: what the table calls it.
        pictures: how many there are.
        fid: by the name of each network.
        kid: likewise.
        distance: mean perceptual distance from the reference.
        ssim: mean structural similarity to the reference.
        diversity: mean perceptual distance of two samples of one reference and seed.
        calls: of the network, for each picture.
        seconds: of a processor core (of the clock, on a GPU), for each picture.
        rank: by KID, 1 = nearest to the domain, by the name of each network; empty where it is no
            method.
    """

    title: str
    pictures: int
    fid: Mapping[str, Estimate]
    kid: Mapping[str, Estimate]
    distance: Estimate
    ssim: Estimate
    diversity: Estimate
    calls: int
    seconds: float | None
    rank: Mapping[str, int]


@dataclass(frozen=True)
class Jury:
    """What methods are measured by.

    Attributes:
        extractors: with the domain's features by each, for FID and KID.
        perception: for distance and diversity.
        references: (R, 3, H, W) in [-1, 1].
        seeds: G; the samples of a reference are as many equal groups.
    """

    extractors: Sequence[tuple[FeatureExtractor, Domain]]
    perception: PerceptualDistance
    references: Tensor
    seeds: int

    def entry(self, title: str, pictures: Tensor, calls: int, seconds: float | None) -> Entry:
        """Measure the pictures (R, K, 3, H, W) of a method; ranks come later."""
        groups = pictures.chunk(self.seeds, dim=1)
        fid, kid = {}, {}
        for extractor, domain in self.extractors:
            whole = Sampled(pictures, extractor, domain).distances
            parts = [Sampled(group, extractor, domain).distances for group in groups]
            fid[extractor.name] = Estimate.of(whole.fid, [part.fid for part in parts])
            kid[extractor.name] = Estimate.of(whole.kid, [part.kid for part in parts])
        return Entry(
            title,
            pictures.shape[0] * pictures.shape[1],
            fid,
            kid,
            distance=self._estimate(self._distance, pictures, groups),
            ssim=self._estimate(self._ssim, pictures, groups),
            diversity=self._estimate(self._diversity, pictures, groups),
            calls=calls,
            seconds=seconds,
            rank={},
        )

    def _estimate(
        self, measure: Callable[[Tensor], float], whole: Tensor, groups: Sequence[Tensor]
    ) -> Estimate:
        return Estimate.of(measure(whole), [measure(group) for group in groups])

    def _distance(self, pictures: Tensor) -> float:
        away = [
            self.perception.distance(x, y_0.expand_as(x))
            for x, y_0 in zip(pictures, self.references, strict=True)
        ]
        return torch.cat(away).mean().item()

    def _ssim(self, pictures: Tensor) -> float:
        from torchmetrics.functional.image import structural_similarity_index_measure

        x = pictures.flatten(0, 1).clamp(-1, 1)
        y_0 = self.references.repeat_interleave(pictures.shape[1], dim=0)
        similarity = structural_similarity_index_measure(x, y_0, data_range=(-1.0, 1.0))
        assert isinstance(similarity, Tensor)
        return similarity.item()

    def _diversity(self, pictures: Tensor) -> float:
        extractor, domain = self.extractors[0]
        return Sampled(pictures, extractor, domain).diversity(self.perception)


def ranks(values: Sequence[float]) -> list[int]:
    """1 for the lowest; equal values share the better rank."""
    ordered = sorted(values)
    return [ordered.index(value) + 1 for value in values]


def rank_correlation(one: Sequence[int], other: Sequence[int]) -> float:
    """Spearman's, 1 = the same order; NaN where one of them has no order."""
    a, b = (torch.tensor(each, dtype=torch.float64) for each in (one, other))
    a, b = a - a.mean(), b - b.mean()
    norm = float(a.norm() * b.norm())
    return float(a @ b) / norm if norm else math.nan


def table(entries: Sequence[Entry], short: Mapping[str, str]) -> str:
    """As Markdown.

    Args:
        entries: a row for each, in this order.
        short: what the headings call each network.
    """
    headings = ["", *(f"{what}, {short[name]}" for name in short for what in ("FID", "KID x 1000"))]
    headings += ["rank by KID", "distance to reference", "SSIM", "diversity", "calls", "seconds"]
    return markdown_table(headings, [_cells(entry, list(short)) for entry in entries])


def _cells(entry: Entry, networks: Sequence[str]) -> list[str]:
    cells = [entry.title]
    for name in networks:
        cells += [_shown(entry.fid[name], ".1f"), _shown(entry.kid[name], ".0f", 1000)]
    return [
        *cells,
        " / ".join(str(entry.rank[name]) for name in networks if name in entry.rank),
        *(_shown(each, ".3f") for each in (entry.distance, entry.ssim, entry.diversity)),
        str(entry.calls) if entry.calls else "",
        "" if entry.seconds is None else f"{entry.seconds:.2f}",
    ]


def _shown(estimate: Estimate, form: str, times: float = 1) -> str:
    text = f"{times * estimate.value:{form}}"
    if estimate.interval is None:
        return text
    return f"{text} ± {times * estimate.interval:{form}}"
