"""ILVR: Conditioning Method for Denoising Diffusion Probabilistic Models, arXiv 2108.02938.

Algorithm 1. For t = T .. 1:

    x'_{t-1} ~ p(x_{t-1} | x_t)                       the sampler's own step
    y_{t-1}  ~ q(y_{t-1} | y_0)                       the reference at that noise level
    x_{t-1}  = phi(y_{t-1}) + x'_{t-1} - phi(x'_{t-1})     eq. 8

    x_t     state            y_0    clean reference      w     weight
    x_0     clean estimate   y_t    noised reference     phi   phi_N, the low-pass filter

Two spaces of matching: ``state`` is the algorithm above; ``prediction`` matches the network's
estimate of x_0 with y_0 at every step, the range-null-space form of DDNM (arXiv 2212.00490), which
does not depend on the sampler's noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..diffusion.noise import HeldNoise, NoiseSource, ReferenceNoise
from ..diffusion.schedule import Schedule, Step
from ..errors import InputError
from .lowpass import LowPass, merge
from .reference import Reference
from .window import Window

__all__ = ["ILVR", "ILVRRun", "NoiseLevel", "Reference", "Space", "Window"]

Space = Literal["state", "prediction"]
NoiseLevel = Literal["produced", "current"]


class ILVR:
    """ILVR with its settings; give it to :func:`ilvr_latent.diffusion.sampling.sample_with`.

    Args:
        references: one or more. Where they overlap in a step they are averaged by weight and
            mask; where they do not, they act side by side.
        space: ``state`` (the paper) or ``prediction`` (DDNM's form).
        reference_noise: ``fresh`` (the paper), ``fixed`` or ``hybrid``, see
            :class:`~ilvr_latent.diffusion.noise.HeldNoise`.
        noise_level: level of the reference's noise. ``produced`` is the paper: x_{t-1} is matched
            with y_{t-1}, and x_0 with the clean reference. ``current`` is the authors' code:
            x_{t-1} is matched with y_t.

    Raises:
        InputError: no reference, or an unknown setting.
    """

    def __init__(
        self,
        references: Reference | Sequence[Reference],
        *,
        space: Space = "state",
        reference_noise: ReferenceNoise = "fresh",
        noise_level: NoiseLevel = "produced",
    ) -> None:
        self.references = (references,) if isinstance(references, Reference) else tuple(references)
        if not self.references:
            raise InputError("There is no reference; give at least one.")
        if space not in ("state", "prediction"):
            raise InputError(f"The space is {space!r}; use 'state' or 'prediction'.")
        self.space = space
        self.reference_noise: ReferenceNoise = reference_noise
        self.noise_level = noise_level

    def begin(
        self, schedule: Schedule, shape: Sequence[int], device: torch.device, noise: NoiseSource
    ) -> ILVRRun:
        """Place the references for a run of ``shape`` and find the steps they match.

        Raises:
            InputError: a reference does not fit the shape, or its window holds no step.
        """
        return ILVRRun(self, schedule, shape, device, noise)


class _Placed:
    """A reference during one run: on the device, with the steps it matches."""

    def __init__(
        self, reference: Reference, schedule: Schedule, shape: Sequence[int], device: torch.device
    ) -> None:
        self.y_0, mask = reference.placed(shape, device)
        self._mask = mask
        self._lowpass = reference.lowpass
        self.weights = reference.step_weights(schedule)

    def target(self, index: int, y: Tensor) -> tuple[LowPass, float | Tensor, Tensor]:
        """What :func:`merge` needs to match the step ``index`` with ``y``."""
        weight = self.weights[index]
        return self._lowpass, weight if self._mask is None else weight * self._mask, y


class ILVRRun:
    """One run of ILVR; see :class:`ilvr_latent.diffusion.guide.GuideRun`."""

    def __init__(
        self,
        ilvr: ILVR,
        schedule: Schedule,
        shape: Sequence[int],
        device: torch.device,
        noise: NoiseSource,
    ) -> None:
        self._ilvr = ilvr
        self._schedule = schedule
        self._placed = [_Placed(r, schedule, shape, device) for r in ilvr.references]
        matched = frozenset[int]().union(*(placed.weights for placed in self._placed))
        self._noise = HeldNoise(noise, ilvr.reference_noise, len(matched))
        self._gone_back = 0

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        """Eq. 8 on the state that the step before produced; x_T stays as it was drawn.

        A state that a jump has noised again is matched like any other of its level.
        """
        self._gone_back = step.gone_back
        if self._ilvr.space != "state" or step.index == 0:
            return x_t
        return self._match_state(x_t, produced_by=step.index - 1, level=step)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """x_0 + w phi(y_0 - x_0) while the step is in the window."""
        if self._ilvr.space != "prediction":
            return x_0
        active = self._active(step.index)
        return merge(x_0, [placed.target(step.index, placed.y_0) for placed in active])

    def end(self, x_0: Tensor) -> Tensor:
        """The last of eq. 8: x_0 with the clean reference."""
        if self._ilvr.space != "state":
            return x_0
        return self._match_state(x_0, produced_by=len(self._schedule) - 1, level=None)

    def _active(self, index: int) -> list[_Placed]:
        return [placed for placed in self._placed if index in placed.weights]

    def _match_state(self, x: Tensor, *, produced_by: int, level: Step | None) -> Tensor:
        """Match the state that step ``produced_by`` made; ``level`` None means it is clean."""
        active = self._active(produced_by)
        if not active:
            return x
        if self._ilvr.noise_level == "current":
            level = self._schedule.steps[produced_by]
        if level is None:
            return merge(x, [p.target(produced_by, p.y_0) for p in active])
        eps = self._noise(produced_by, x.shape, self._gone_back).to(x.device)
        return merge(x, [p.target(produced_by, level.noised(p.y_0, eps)) for p in active])
