"""The shape that every method of guided sampling has here, and that every driver knows.

A driver (the pixel sampler, a ComfyUI sampler, a diffusers callback) calls :meth:`Guide.begin`
once per run and then talks to the :class:`GuideRun` it was given. All state of a run lives in the
run, so one guide serves many runs, also at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from .noise import NoiseSource
from .schedule import Schedule, Step


class GuideRun(Protocol):
    """What a method does during one run; doing nothing is returning the first argument."""

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        """The state, before the network sees it at ``step``."""
        ...

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """What the network thinks the clean image is at ``step``."""
        ...

    def end(self, x_0: Tensor) -> Tensor:
        """The finished image, after the last step."""
        ...


class Guide(Protocol):
    """A method with its settings, before a run."""

    def begin(
        self, schedule: Schedule, shape: Sequence[int], device: torch.device, noise: NoiseSource
    ) -> GuideRun:
        """Check the settings against the run and prepare it.

        Args:
            schedule: the steps that will be taken.
            shape: (B, C, H, W) of the state.
            device: where the state lives.
            noise: where random numbers come from.
        """
        ...
