"""What guides cost: time and memory of a guided step, as ratios to a bare one.

Both are whole runs of the embedded model in the pixel sampler, measured in turn by the seconds of
the processor, so that other work on the machine counts little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from ilvr_latent import EGSDE, ILVR, SDDM, Guide, Reference, SeededNoise, Start, load_embedded
from ilvr_latent.diffusion.loop import sample_with
from ilvr_latent.embedded import load_embedded_classifier
from ilvr_latent.guides import (
    ClassifierGuidance,
    UniversalGuidance,
    Window,
    feature_energy,
    losses,
)

from .timing import compare

STEPS, PAIRS = 4, 9


@dataclass(frozen=True)
class Cost:
    """Of one guide, against a bare run.

    Attributes:
        time: ratio of the seconds of the processor.
        memory: ratio of the most that tensors take beside weights and inputs.
    """

    time: float
    memory: float


def guides(y_0: Tensor) -> Iterator[tuple[str, Guide]]:
    """Every guide, with the classifier that ships where it needs a network."""
    classifier = load_embedded_classifier()
    whole = Window(0.0, 1.0)
    yield "ILVR, N = 8", ILVR(Reference(y_0, 8))
    yield "ILVR on the prediction, N = 8", ILVR(Reference(y_0, 8, space="prediction"))
    yield "SDDM, blocks", SDDM(y_0, blocks=16, window=whole)
    yield "EGSDE, faithful energy", EGSDE(y_0, factor=8)
    energy = feature_energy(classifier.features, y_0, blocks=None)
    yield "SDDM, blocks and energy", SDDM(y_0, blocks=16, window=whole, energies=[energy])
    yield "EGSDE, both energies", EGSDE(y_0, features=classifier.features, factor=8)
    yield "classifier guidance", ClassifierGuidance(classifier, 0)
    histogram = losses.colour_histogram(y_0[:1])
    yield "universal guidance, forward, colours", UniversalGuidance(histogram, weight=5.0)
    backward = UniversalGuidance(histogram, backward_steps=4, backward_lr=1.0)
    yield "universal guidance, backward, 4 moves", backward


def peak(run: Callable[[], object]) -> int:
    """The most bytes that tensors made during a call take at a time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    assert recorded.profiler is not None and recorded.profiler.kineto_results is not None
    events = recorded.profiler.kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def rows(batch: int = 4) -> Iterator[tuple[str, Cost]]:
    """Measure every guide.

    Args:
        batch: pictures at a time.
    """
    model = load_embedded()
    side = model.config.image_size
    y_0 = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))
    y_0 = y_0.mul(0.5).clamp(-1, 1)

    def run(guide: Guide | None) -> Tensor:
        # The last steps of fifty, from the reference: nothing depends on the level.
        return sample_with(
            model,
            guide,
            shape=y_0.shape,
            steps=50,
            noise=SeededNoise(list(range(batch))),
            start=Start(y_0, 50 - STEPS),
        )

    bare = peak(lambda: run(None))
    for name, guide in guides(y_0):
        found = compare(
            lambda guide=guide: run(guide),  # type: ignore[misc]
            lambda: run(None),
            pairs=PAIRS,
            clock=time.process_time,
        )
        more = peak(lambda guide=guide: run(guide))  # type: ignore[misc]
        yield name, Cost(1 / found.ratio, more / bare)


def measure() -> None:
    """Print a Markdown table."""
    print("\n| guide, against a bare step (embedded model, batch 4) | time | memory |")
    print("|---|---|---|")
    for name, cost in rows():
        print(f"| {name} | {cost.time:.3f} | {cost.memory:.2f} |", flush=True)
