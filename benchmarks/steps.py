"""What a step of sampling takes, as a multiple of the network alone, which no loop can go below.

Whole runs, the network's calls among them, in turn with as many bare calls of the network, and
divided by the steps. Ours and diffusers' are of our network, the authors' of theirs, with the same
weights. What ILVR itself takes is measured by runs of a network that costs nothing.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ilvr_latent import Reference, sample
from ilvr_latent.adm.config import ADMConfig
from ilvr_latent.adm.unet import ADM
from ilvr_latent.pipelines import ILVRCallback

from . import peers
from .networks import CONFIG_64, CONFIG_256, random_network
from .timing import Comparison, compare

N = 8
PAIRS, PAIRS_OF_LARGE, PAIRS_OF_GROWTH = 5, 2, 3
Call = Callable[[], object]
clock = time.process_time


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: takes the steps.
        size: of the pictures.
        seconds: of the processor for a step.
        ratio: to the network alone.
        own: seconds that ILVR itself takes of a step; ``None``: not measured.
    """

    what: str
    size: str
    seconds: float
    ratio: float
    own: float | None = None

    def line(self) -> str:
        """Of a Markdown table."""
        own = "" if self.own is None else f"{1e3 * self.own:.2f}"
        return (
            f"| {self.what} | {self.size} | {1e3 * self.seconds:.1f} | {self.ratio:.3f} | {own} |"
        )


HEAD = (
    "| a step of | pictures | ms | times the network alone | of it ILVR's own, ms |\n"
    "|---|---|---|---|---|"
)


class Stage:
    """A network and how many steps are taken with it.

    Args:
        config: of the network, whose weights are random.
        batch: pictures at a time.
        steps: of a run.
        pairs: how often each is measured.
    """

    def __init__(self, config: ADMConfig, batch: int, steps: int, pairs: int) -> None:
        self.model, self.batch, self.steps, self.pairs = random_network(config), batch, steps, pairs
        side = config.image_size
        self.size = f"{side}x{side}, batch {batch}"
        self.y_0 = pictures(batch, side)

    @torch.no_grad()
    def bare(self) -> None:
        """As many calls of the network as a run makes."""
        t = torch.full((self.batch,), 500)
        for _ in range(self.steps):
            self.model(self.y_0, t)

    def row(self, what: str, run: Call, own: float | None = None) -> Row:
        """A run against the network alone."""
        found: Comparison = compare(run, self.bare, pairs=self.pairs, clock=clock)
        return Row(what, self.size, found.ours / self.steps, 1 / found.ratio, own)

    def bare_row(self) -> Row:
        """The limit."""
        times = []
        for _ in range(self.pairs):
            begun = clock()
            self.bare()
            times.append((clock() - begun) / self.steps)
        return Row("**the network alone**", self.size, statistics.median(times), 1.0)

    def ours(self, references: Sequence[Reference]) -> Call:
        """A run of ours."""
        shape = self.y_0.shape
        return lambda: sample(self.model, references, shape=shape, steps=self.steps)


class _Free:
    """A network that costs nothing."""

    def __init__(self, model: ADM) -> None:
        self.config = dataclasses.replace(model.config, learn_sigma=False)
        self.device = model.device

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return x


def own_seconds(model: ADM, references: Sequence[Reference], shape: Sequence[int]) -> float:
    """What ILVR takes of a step: a run of a network that costs nothing, with it and without."""
    free, steps = _Free(model), 10

    def run(given: Sequence[Reference]) -> Call:
        return lambda: sample(free, given, shape=shape, steps=steps)

    found = compare(run(references), run([]), pairs=PAIRS, clock=clock)
    return max(0.0, found.ours - found.theirs) / steps


def pictures(count: int, side: int) -> Tensor:
    """References, (count, 3, side, side) in [-1, 1]."""
    drawn = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    return drawn.mul(0.5).clamp(-1, 1)


def loops(stage: Stage, peer: Path | None) -> Iterator[Row]:
    """Ours, the authors' and diffusers' beside one another."""
    y_0, shape = stage.y_0, tuple(stage.y_0.shape)
    reference = Reference(y_0, N)
    yield stage.bare_row()
    own = own_seconds(stage.model, [reference], shape)
    yield stage.row(f"`sample`, ILVR, N = {N}", stage.ours([reference]), own)
    if peer is not None:
        theirs = peers.sampler(peer, stage.model, y_0, n=N, steps=stage.steps)
        yield stage.row(f"the authors' loop, ILVR, N = {N}", theirs)
    if stage.model.config == CONFIG_256:
        # A call takes seconds; what other loops add shows with the small network.
        return
    yield stage.row("`sample`, not guided", stage.ours([]))
    pipe = peers.pipeline(stage.model)

    def piped() -> object:
        return pipe(stage.batch, num_inference_steps=stage.steps, output_type="pt")

    yield stage.row("diffusers' `DDPMPipeline`, not guided", piped)
    callback = ILVRCallback(pipe, reference)

    def guided() -> object:
        with callback:
            return piped()

    yield stage.row(f"diffusers' `DDPMPipeline` with `ILVRCallback`, N = {N}", guided)


def growth(quick: bool) -> Iterator[Row]:
    """Ours by resolution, by batch, by number of references and by N."""
    for side in (64, 128) if quick else (64, 128, 256):
        stage = Stage(dataclasses.replace(CONFIG_64, image_size=side), 1, 2, PAIRS_OF_GROWTH)
        yield _grown(stage, f"{side}x{side}", [Reference(stage.y_0, N)])
    for batch in (1, 4, 16):
        stage = Stage(CONFIG_64, batch, 2, PAIRS_OF_GROWTH)
        yield _grown(stage, f"batch {batch}", [Reference(stage.y_0, N)])
    stage = Stage(CONFIG_64, 1, 2, PAIRS_OF_GROWTH)
    for count in (1, 2, 4, 8):
        drawn = [Reference(y[None], N) for y in pictures(count, 64)]
        yield _grown(stage, f"{count} reference{'s' if count > 1 else ''}", drawn)
    for n in (2, 4, 8, 16, 32):
        yield _grown(stage, f"N = {n}", [Reference(stage.y_0, n)])


def _grown(stage: Stage, what: str, references: Sequence[Reference]) -> Row:
    own = own_seconds(stage.model, references, tuple(stage.y_0.shape))
    return stage.row(f"`sample`, ILVR: {what}", stage.ours(references), own)


def measure(peer: Path | None, quick: bool) -> None:
    """Print the table, line by line."""
    print(HEAD)
    stages = [Stage(CONFIG_64, 4, 4, PAIRS)]
    if not quick:
        stages.append(Stage(CONFIG_256, 1, 2, PAIRS_OF_LARGE))
    begun, rows = clock(), 0
    for stage in stages:
        for row in loops(stage, peer):
            print(row.line(), flush=True)
            rows += 1
    for row in growth(quick):
        print(row.line(), flush=True)
        rows += 1
    print(f"\n{rows} rows in {math.ceil((clock() - begun) / 60)} minutes of the processor")
