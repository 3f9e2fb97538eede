"""ILVR (arXiv 2108.02938) where the sampler belongs to the host.

    x_t    state             y_0   clean reference         w     weight
    x_0    clean estimate    y_t   noised reference        phi   phi_N, the low-pass filter

Every state that the network is shown inside the range is matched with the reference at that
noise level, eq. 8: x_t <- x_t + w phi(y_t - x_t). The finished picture is matched with the clean
reference where the range reaches the end. With DDPM steps this is Algorithm 1.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass

from torch import Tensor

from ..ilvr_latent import Reference, SeededNoise
from ..ilvr_latent.ilvr import Space
from ..ilvr_latent.lowpass import LowPass, merge
from ..ilvr_latent.noise import HeldNoise, ReferenceNoise
from .fitting import fit_latent, fit_mask
from .host import HostRun, HostStep

logger = logging.getLogger(__name__)

# The host's samplers draw from the seed itself; the reference must not repeat their numbers.
SEED_OFFSET = 0x494C5652


@dataclass(frozen=True, eq=False)
class Condition:
    """One reference with its settings: one ILVR Apply node.

    Attributes:
        reference: the latent as the VAE gave it, any size; its mask is (B, H, W).
        space: match the ``state`` or the ``prediction``.
        noise: of the reference, in the state space.
    """

    reference: Reference
    space: Space
    noise: ReferenceNoise


class HostILVR:
    """ILVR with one or more references; see :class:`.host.HostGuide`.

    Args:
        conditions: act together: side by side where masks or ranges keep them apart, averaged
            by their weights where they overlap.
    """

    def __init__(self, *conditions: Condition) -> None:
        self.conditions = conditions

    def joined(self, other: HostILVR) -> HostILVR:
        """The references of both."""
        return HostILVR(*self.conditions, *other.conditions)

    def begin(self, run: HostRun) -> HostILVRRun | None:
        """Place the references; ``None`` where none has a weight and a step in its range.

        Raises:
            InputError: a reference does not fit the latent.
        """
        placed = [_Placed(condition, run) for condition in self.conditions]
        active = [p for p in placed if p.condition.reference.weight and (p.steps or p.at_end)]
        for p in active:
            logger.info("%s", p)
        return HostILVRRun(active, run) if active else None


class _Placed:
    """A reference during one run: in the model's scale, at the latent's size."""

    def __init__(self, condition: Condition, run: HostRun) -> None:
        reference = condition.reference
        self.condition = condition
        window = reference.window
        self._high, self._low = run.sigma_at(window.start), run.sigma_at(window.end)
        # The last level is what the last step leaves; no step begins there.
        self.steps = [i for i, s in enumerate(run.sigmas[:-1]) if s > 0 and self.holds(s)]
        self.at_end = self._low == 0 and run.sigmas[-1] == 0
        self._total = len(run.sigmas) - 1
        y_0 = fit_latent(reference.image, run.shape).to(run.device)
        mask = None if reference.mask is None else fit_mask(reference.mask, run.shape)
        y_0, mask = dataclasses.replace(reference, image=run.latent_in(y_0), mask=mask).placed(
            run.shape, run.device
        )
        self.y_0 = y_0
        self.strength: float | Tensor = reference.weight
        for area in (mask, run.denoise_mask):
            # What inpainting keeps, ILVR leaves alone.
            self.strength = self.strength if area is None else self.strength * area
        self.lowpass = reference.lowpass

    def __str__(self) -> str:
        steps = f"steps {self.steps[0] + 1} to {self.steps[-1] + 1}" if self.steps else "no step"
        end = " and the finished picture" if self.at_end else ""
        return f"ILVR (N = {self.lowpass.factor:g}) matches {steps} of {self._total}{end}."

    def holds(self, sigma: float) -> bool:
        """Whether a state at this noise level is in the range."""
        return self._low <= sigma <= self._high

    def target(self, y: Tensor) -> tuple[LowPass, float | Tensor, Tensor]:
        """What :func:`merge` needs to match with ``y``."""
        return self.lowpass, self.strength, y


class HostILVRRun:
    """One run; see :class:`.host.HostGuideRun`."""

    def __init__(self, placed: list[_Placed], run: HostRun) -> None:
        self._in_state = [p for p in placed if p.condition.space == "state"]
        self._in_prediction = [p for p in placed if p.condition.space == "prediction"]
        if not run.keeps_state:
            # The match of the state would be lost, so the prediction carries it on.
            self._in_prediction = placed
        self._noise = {
            kind: HeldNoise(
                SeededNoise((run.seed + SEED_OFFSET) % 2**64, run.device),
                kind,
                len(set().union(*(p.steps for p in self._in_state if p.condition.noise == kind))),
            )
            for kind in {p.condition.noise for p in self._in_state}
        }

    def state(self, x_t: Tensor, step: HostStep) -> Tensor:
        """Eq. 8, with each reference at the noise level of ``step``."""
        targets = []
        for p in self._in_state:
            if p.holds(step.sigma):
                eps = self._noise[p.condition.noise](step.index, x_t.shape)
                targets.append(p.target(step.noised(p.y_0, eps.to(x_t))))
        return merge(x_t, targets)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: HostStep) -> Tensor:
        """x_0 + w phi(y_0 - x_0)."""
        return merge(x_0, [p.target(p.y_0) for p in self._in_prediction if p.holds(step.sigma)])

    def end(self, x_0: Tensor) -> Tensor:
        """The last of eq. 8: the finished picture with the clean reference."""
        return merge(x_0, [p.target(p.y_0) for p in self._in_state if p.at_end])
