"""Goldens of methods of guidance: what a reference implementation in float64 computed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ilvr_latent import Guide, Start, Step, sample_with
from ilvr_latent.diffusion.schedule import alphas_cumprod
from tests.conftest import ExactConfig

FOLDER = Path(__file__).parent.parent / "fixtures" / "guidance"


@dataclass(frozen=True)
class Golden:
    """One file: its arguments and its arrays."""

    meta: dict[str, Any]
    arrays: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]


def golden(name: str) -> Golden:
    """Read a file."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}
        return Golden(json.loads(str(file["meta"])), arrays)


@dataclass
class GoldenMixture:
    """The exact network of a Gaussian mixture, float64 inside; keeps the states it is shown."""

    mu: Tensor
    weights: Tensor
    spread: float
    config: ExactConfig = field(default_factory=ExactConfig)
    seen: list[Tensor] = field(default_factory=list)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        self.seen.append(x)
        a = alphas_cumprod("linear", 1000)[t].view(-1, 1, 1, 1, 1)
        v = a * self.spread**2 + 1 - a
        away = x.double()[:, None] - a.sqrt() * self.mu.double()
        log_r = self.weights.double().log() - (away.square() / (2 * v)).flatten(2).sum(2)
        r = log_r.softmax(1)[:, :, None, None, None]
        x_0 = (r * (self.mu.double() + a.sqrt() * self.spread**2 / v * away)).sum(1)
        return ((x.double() - a[:, 0].sqrt() * x_0) / (1 - a[:, 0]).sqrt()).to(x)


@dataclass
class GoldenNoise:
    """The recorded numbers; asks for anything else fail."""

    x_T: Tensor
    z: Tensor

    def initial(self, shape: Sequence[int]) -> Tensor:
        return self.x_T

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        return self.z[i]

    def reference(self, i: int, shape: Sequence[int]) -> Tensor:
        raise AssertionError("no reference noise was recorded")


def features(run: Golden) -> Callable[[Tensor], Tensor]:
    """The small network of the goldens."""

    def network(x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(padded, run["feature_w"].to(x), run["feature_b"].to(x)).tanh()

    return network


@dataclass
class Replay:
    """A run again: the states that the network saw first at each step, and the last one."""

    states: list[Tensor]
    produced: list[Tensor]
    calls: int


def replay(
    run: Golden, guide: Guide, start: Start | None = None, dtype: torch.dtype = torch.float32
) -> Replay:
    """Sample with the recorded numbers."""
    model = GoldenMixture(run["gm_mu"], run["gm_w"], float(run["gm_s"]))
    x_T = run["x_T" if "x_T" in run.arrays else "e"].to(dtype)
    seen, produced = list[Tensor](), list[Tensor]()

    def keep(step: Step, x: Tensor) -> None:
        produced.append(x)

    class FirstSeen:
        config, device = model.config, model.device

        def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
            if len(seen) == len(produced):
                seen.append(x)
            return model(x, t)

    sample_with(
        FirstSeen(),
        guide,
        shape=tuple(x_T.shape),
        steps=run.meta["steps"],
        variance=run.meta["variance"],
        clip_denoised=run.meta["clip"],
        noise=GoldenNoise(x_T, run["z"].to(dtype)),
        start=start,
        callback=keep,
    )
    return Replay([*seen[1:], produced[-1]], produced, len(model.seen))
