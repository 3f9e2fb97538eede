"""Guides side by side in one batch: the network sees all pictures at once, a guide only its own.

A picture is what it would be alone, up to the rounding of the network in another batch: its
numbers come from its own stream (:class:`.noise.SeededNoise`), and no guide sees a picture of
another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .guide import Guide, GuideRun, Run, of_pictures
from .schedule import Step


class SideBySide:
    """Guides next to one another, each with pictures of its own; a :class:`.guide.Guide`.

    >>> two = SideBySide([(ILVR(Reference(y_0, 4)), 1), (ILVR(Reference(y_0, 8)), 1)])
    >>> sample_with(model, two, shape=(2, 3, 64, 64), noise=SeededNoise([0, 0]))

    Args:
        parts: guides, ``None`` for pictures that are not guided, and how many pictures each of them
            has, in the order of the batch.

    Raises:
        InputError: a guide has no picture.
    """

    def __init__(self, parts: Sequence[tuple[Guide | None, int]]) -> None:
        if not parts or any(count < 1 for _, count in parts):
            raise InputError("A guide has no picture of the batch; give each one or more.")
        self.parts = tuple(parts)

    def begin(self, run: Run) -> GuideRun | None:
        """Begin each guide's run of its own pictures.

        Raises:
            InputError: a guide does not fit the run or asks the network itself, the numbers of
                pictures are not those of the batch, or the noise source cannot be divided.
        """
        ends = list(itertools.accumulate(count for _, count in self.parts))
        if ends[-1] != run.shape[0]:
            raise InputError(
                f"The guides have {ends[-1]} pictures and the batch {run.shape[0]}; give each "
                "picture one guide."
            )
        runs: list[tuple[slice, GuideRun]] = []
        for (guide, count), end in zip(self.parts, ends, strict=True):
            pictures = slice(end - count, end)
            own = None if guide is None else guide.begin(run.with_pictures(pictures))
            if own is not None and own.hooks & {"denoise", "repeats"}:
                raise InputError(
                    f"{type(guide).__name__} asks the network itself, and side by side the "
                    "network is asked about all pictures at once; sample it in a batch of its own."
                )
            runs.append((pictures, own or GuideRun()))
        both = _SideBySideRun(runs)
        return both if both.hooks else None


class _SideBySideRun(GuideRun):
    """Runs of pictures that have nothing to do with one another."""

    def __init__(self, runs: Sequence[tuple[slice, GuideRun]]) -> None:
        self._runs = runs

    @property
    def hooks(self) -> frozenset[str]:
        return frozenset[str]().union(*(run.hooks for _, run in self._runs))

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        return self._each(x_t, lambda run, own, _: run.state(own, step))

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        return self._each(x_0, lambda run, own, at: run.prediction(own, x_t[at], step))

    def mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, step: Step
    ) -> Tensor:
        def of_own(run: GuideRun, own: Tensor, at: slice) -> Tensor:
            v = variance
            if isinstance(v, Tensor):
                v = of_pictures(v, at, len(mu))
            return run.mean(own, v, x_t[at], x_0[at], step)

        return self._each(mu, of_own)

    def end(self, x_0: Tensor) -> Tensor:
        return self._each(x_0, lambda run, own, _: run.end(own))

    def _each(self, x: Tensor, act: Callable[[GuideRun, Tensor, slice], Tensor]) -> Tensor:
        """What each run makes of its pictures; ``x`` itself where all leave them alone."""
        given = [x[pictures] for pictures, _ in self._runs]
        made = [act(run, own, at) for own, (at, run) in zip(given, self._runs, strict=True)]
        if all(out is own for out, own in zip(made, given, strict=True)):
            return x
        return torch.cat(made)
