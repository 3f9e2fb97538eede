"""Similarities of pictures to their references, and the curve that is fitted to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.jackknife import standard_error
from ilvr_latent.metrics.imagenet import load_imagenet_network
from ilvr_latent.metrics.network import load_feature_network
from ilvr_latent.metrics.protocols import PerceptualDistance
from ilvr_latent.similarity import Dial

from .models import MODELS, Model
from .pictures import references

SEEDS = {"calibrate": 1000, "check": 2000}
AT_A_TIME = 4
Point = tuple[float, float]
Distances = list[list[float]]
"""By network, then by reference."""


@cache
def networks() -> tuple[PerceptualDistance, ...]:
    """Trained on other pictures, for other ends, and of another build."""
    return load_feature_network(), load_imagenet_network()


def distances(x: Tensor, y: Tensor) -> Distances:
    """The distance of each picture from its reference, by each network."""
    pairs = list(zip(torch.split(x, AT_A_TIME), torch.split(y, AT_A_TIME), strict=True))
    return [torch.cat([n.distance(*pair) for pair in pairs]).tolist() for n in networks()]


@dataclass(frozen=True)
class Found:
    """What a set of references has at one setting.

    Attributes:
        d: by each network, to each reference as the model's autoencoder shows it; of the set that
            checks then also to the references themselves.
        d_0: likewise, of what the model makes without them.
    """

    d: Distances
    d_0: Distances

    @property
    def similarities(self) -> list[float]:
        """S by each network."""
        pairs = zip(self.d, self.d_0, strict=True)
        return [100 * (1 - sum(far) / sum(free)) for far, free in pairs]

    @property
    def similarity(self) -> float:
        """S: the mean of both networks, to the references as shown."""
        return _mean(self.similarities[:2])

    def of(self, kept: Sequence[int]) -> Found:
        """Of the references with these numbers."""
        return Found(*([[one[k] for k in kept] for one in by] for by in (self.d, self.d_0)))

    @property
    def error(self) -> float:
        """The standard error of S over references."""
        return standard_error(len(self.d[0]), lambda kept: self.of(kept).similarity)


@dataclass
class Bench:
    """Measures, and keeps what was measured in a file: begun again, it goes on from there.

    Args:
        path: of the file.
    """

    path: Path

    def __post_init__(self) -> None:
        self._known: dict[str, Distances] = {}
        if self.path.is_file():
            self._known = json.loads(self.path.read_text(encoding="utf-8"))
        self._models: dict[str, Model] = {}
        self._as_shown: dict[tuple[str, str], Tensor] = {}

    def model(self, name: str) -> Model:
        """The model of this name, loaded once."""
        if name not in self._models:
            self._models[name] = MODELS[name]()
        return self._models[name]

    def found(self, name: str, which: str, dial: Dial) -> Found:
        """Distances of all references of a set.

        Args:
            name: of the model.
            which: set of references, ``calibrate`` or ``check``.
            dial: the settings.
        """
        d_0 = self._distances(name, which, "free", None)
        return Found(self._distances(name, which, settings(dial), dial), d_0)

    def _distances(self, name: str, which: str, place: str, dial: Dial | None) -> Distances:
        return self._kept(f"{name} {which} {place}", lambda: self._measured(name, which, dial))

    def _measured(self, name: str, which: str, dial: Dial | None) -> Distances:
        model = self.model(name)
        y_0 = references(which, model.side)
        seeds = range(SEEDS[which], SEEDS[which] + len(y_0))
        x, shown = model.made(y_0, dial, seeds), self._shown(name, which, y_0)
        to_shown = distances(x, shown)
        if which == "calibrate":
            return to_shown
        return [*to_shown, *(to_shown if model.cell == 1 else distances(x, y_0))]

    def _shown(self, name: str, which: str, y_0: Tensor) -> Tensor:
        if (name, which) not in self._as_shown:
            self._as_shown[name, which] = self.model(name).shown(y_0)
        return self._as_shown[name, which]

    def _kept(self, what: str, measured: Callable[[], Distances]) -> Distances:
        if what not in self._known:
            self._known[what] = measured()
            partial = self.path.with_suffix(".partial")
            partial.write_text(json.dumps(self._known), encoding="utf-8")
            partial.replace(self.path)
            print(what, *(f"{_mean(d):.4f}" for d in self._known[what]), flush=True)
        return self._known[what]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def settings(dial: Dial) -> str:
    """A dial, as measurements are filed."""
    return f"N {dial.share:.4g} end {dial.end:.4g} weight {dial.weight:.4g}"


def rising(points: Sequence[Point]) -> list[Point]:
    """The nearest curve that never falls (isotonic regression, by pooling adjacent violators).

    Args:
        points: (position, similarity), the positions ascending.

    Returns:
        The same positions; neighbours that fall have their mean.
    """
    blocks: list[tuple[float, int]] = []
    for _, similarity in points:
        blocks.append((similarity, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (s, n), (r, m) = blocks[-2:]
            blocks[-2:] = [((n * s + m * r) / (n + m), n + m)]
    fitted = [s for s, n in blocks for _ in range(n)]
    return [(position, s) for (position, _), s in zip(points, fitted, strict=True)]


def inverted(points: Sequence[Point], similarities: Sequence[float]) -> list[Point]:
    """(similarity, position) of a curve that begins at (0, 0) and ends at (last, 100).

    Args:
        points: (position, similarity) between its ends.
        similarities: whose positions are asked for, 0 to 100; of a level stretch the first.
    """
    last = points[-1][0]
    inside = [(p, s) for p, s in rising(points) if 0 < s < 100 and p < last]
    known = [(0.0, 0.0), *inside, (last, 100.0)]
    found = []
    for wanted in similarities:
        after = max(1, next(i for i, (_, s) in enumerate(known) if s >= wanted))
        (p, s), (q, r) = known[after - 1], known[after]
        found.append((wanted, round(p + (q - p) * (wanted - s) / (r - s), 3)))
    return found
