"""Which steps of the host's sampler a reference is matched in, and with what weight.

sigma   the host's noise level      p   progress through the range, 0 to 1
"""

from __future__ import annotations

from ...ilvr_latent import Reference
from ...ilvr_latent.guides.weight import WeightSchedule, weight_at
from ..driver import HostRun, HostStep
from ..readout import spans


class HostRange:
    """The range of one reference in one run.

    Steps count from the first that the sampler takes. A range in percent holds every network call
    whose noise level lies in it; a range in steps holds every call of its steps.

    Args:
        reference: its window is in fractions or in steps.
        run: the sampler's run.

    Attributes:
        steps: the matched ones, ascending.
        weight_at_end: of the finished picture; 0 where the range ends earlier, or the run does.
    """

    def __init__(self, reference: Reference, run: HostRun) -> None:
        window, weight = reference.window, reference.weight
        self._wanted = bool(weight)
        self._total = len(run.sigmas) - 1
        finishes = run.sigmas[-1] == 0
        if window.unit == "step":
            self._first, self._last = int(window.start), min(int(window.end), self._total - 1)
            self._low, self._high = 0.0, float("inf")
            reaches_the_end = self._first <= self._last == self._total - 1
        else:
            self._first, self._last = 0, self._total
            self._low, self._high = run.sigma_at(window.end), run.sigma_at(window.start)
            reaches_the_end = self._low == 0
        # By step, so that a sampling step computes nothing.
        self._weights = [self._weight_of(reference, run, i) for i in range(len(run.sigmas))]
        self.weight_at_end = weight_at(weight, 1.0) if finishes and reaches_the_end else 0.0
        # The last level is what the last step leaves; no step begins there.
        self.steps = [
            i
            for i, s in enumerate(run.sigmas[:-1])
            if s > 0 and self._holds(i, s) and self._weights[i]
        ]

    def _weight_of(self, reference: Reference, run: HostRun, index: int) -> float:
        if not isinstance(reference.weight, WeightSchedule):
            return reference.weight
        window = reference.window
        if window.unit == "step":
            first, last, here = float(self._first), float(self._last), float(index)
        else:
            first, last, here = window.start, window.end, run.percent_at(run.sigmas[index])
        return reference.weight((here - first) / (last - first) if last > first else 0.0)

    def _holds(self, index: int, sigma: float) -> bool:
        return self._first <= index <= self._last and self._low <= sigma <= self._high

    def weight(self, step: HostStep) -> float:
        """The weight of a network call; 0 outside the range."""
        return self._weights[step.index] if self._holds(step.index, step.sigma) else 0.0

    def __str__(self) -> str:
        if not self.steps and not self.weight_at_end:
            why = "none is in the range" if self._wanted else "the weight is 0"
            return f"matches no step of {self._total}: {why}."
        name = "step" if len(self.steps) == 1 else "steps"
        parts = [f"{name} {spans(self.steps)} of {self._total}"] if self.steps else []
        parts += ["the finished picture"] if self.weight_at_end else []
        return f"matches {' and '.join(parts)}{self._weights_in_words()}."

    def _weights_in_words(self) -> str:
        weights = [self._weights[i] for i in self.steps]
        weights += [self.weight_at_end] if self.weight_at_end else []
        low, high = f"{min(weights):.2g}", f"{max(weights):.2g}"
        if low == high:
            return "" if low == "1" else f", weight {low}"
        ends = (high, low) if weights[0] >= weights[-1] else (low, high)
        return f", weight {' to '.join(ends)}"
