"""Samplers that change the size of the state on their way (LCM Upscale)."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from ..ilvr_latent.diffusion.guide import Denoise, Guide, GuideRun, begun
from ..ilvr_latent.diffusion.schedule import Step
from .run import HostRun


class OfEachSize(GuideRun):
    """A guide's run, begun again for each size that a state comes in.

    Args:
        guide: the method.
        run: at the size that the sampler begins with.

    Raises:
        InputError: the guide does not fit the run.
    """

    def __init__(self, guide: Guide, run: HostRun) -> None:
        self._guide, self._run = guide, run
        self._first = begun(guide, run)
        self._runs = {tuple(run.shape): self._first}

    @property
    def hooks(self) -> frozenset[str]:
        """Those at the size that the sampler begins with."""
        return self._first.hooks

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        """At the size of ``x_t``."""
        return self._at(x_t).state(x_t, step)

    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        """At the size of ``x_t``."""
        return self._at(x_t).denoise(denoiser, x_t, step)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """At the size of ``x_0``."""
        return self._at(x_0).prediction(x_0, x_t, step)

    def mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, step: Step
    ) -> Tensor:
        """At the size of ``mu``."""
        return self._at(mu).mean(mu, variance, x_t, x_0, step)

    def end(self, x_0: Tensor) -> Tensor:
        """At the size of the finished picture."""
        return self._at(x_0).end(x_0)

    def _at(self, x: Tensor) -> GuideRun:
        shape = tuple(x.shape)
        if shape[:2] != tuple(self._run.shape)[:2]:
            return self._first
        if shape not in self._runs:
            # Areas of the first size say nothing here.
            run = dataclasses.replace(self._run, shape=shape, inpainting_area=None)
            self._runs[shape] = begun(self._guide, run)
        return self._runs[shape]
