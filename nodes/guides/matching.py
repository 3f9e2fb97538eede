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

from ...ilvr_latent import Reference, SeededNoise
from ...ilvr_latent.diffusion.noise import HeldNoise, ReferenceNoise
from ...ilvr_latent.guides.ilvr import Space
from ...ilvr_latent.guides.lowpass import LowPass, merge
from ..driver import HostRun, HostStep
from ..fitting import fit_latent, fit_mask
from ..readout import show
from .ranges import HostRange

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
        node_id: of the node in the graph, where the matched steps are shown.
    """

    reference: Reference
    space: Space
    noise: ReferenceNoise
    node_id: str | None = None


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
        placed = [Placed(condition, run) for condition in self.conditions]
        for p in placed:
            logger.info("ILVR (N = %g) %s", p.condition.reference.factor, p)
            show(p.condition.node_id, f"{p}".capitalize())
        active = [p for p in placed if p.range.steps or p.range.weight_at_end]
        return HostILVRRun(active, run) if active else None


class Placed:
    """A reference during one run: in the model's scale, at the latent's size."""

    def __init__(self, condition: Condition, run: HostRun) -> None:
        reference = condition.reference
        self.condition = condition
        self.range = HostRange(reference, run)
        y_0 = fit_latent(reference.image, run.shape).to(run.device)
        mask = None if reference.mask is None else fit_mask(reference.mask, run.shape)
        self.y_0, mask = dataclasses.replace(reference, image=run.latent_in(y_0), mask=mask).placed(
            run.shape, run.device
        )
        self.area: float | Tensor = 1.0
        for area in (mask, run.denoise_mask):
            # What inpainting keeps, ILVR leaves alone.
            self.area = self.area if area is None else self.area * area
        self.lowpass = reference.lowpass

    def __str__(self) -> str:
        return str(self.range)

    def target(self, weight: float, y: Tensor) -> tuple[LowPass, float | Tensor, Tensor]:
        """What :func:`merge` needs to match with ``y``."""
        return self.lowpass, weight * self.area, y


class HostILVRRun:
    """One run; see :class:`.host.HostGuideRun`."""

    def __init__(self, placed: list[Placed], run: HostRun) -> None:
        self._in_state = [p for p in placed if p.condition.space == "state"]
        self._in_prediction = [p for p in placed if p.condition.space == "prediction"]
        if not run.keeps_state:
            # The match of the state would be lost or do harm, so the prediction carries it on.
            self._in_prediction = placed
        self._noise = {
            kind: HeldNoise(
                SeededNoise((run.seed + SEED_OFFSET) % 2**64, run.device),
                kind,
                len(
                    set().union(
                        *(p.range.steps for p in self._in_state if p.condition.noise == kind)
                    )
                ),
            )
            for kind in {p.condition.noise for p in self._in_state}
        }

    def state(self, x_t: Tensor, step: HostStep) -> Tensor:
        """Eq. 8, with each reference at the noise level of ``step``."""
        targets = []
        for p in self._in_state:
            if weight := p.range.weight(step):
                held = self._noise[p.condition.noise]
                eps = held(step.index, x_t.shape, step.gone_back)
                targets.append(p.target(weight, step.noised(p.y_0, eps.to(x_t))))
        return merge(x_t, targets)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: HostStep) -> Tensor:
        """x_0 + w phi(y_0 - x_0)."""
        weighted = ((p, p.range.weight(step)) for p in self._in_prediction)
        return merge(x_0, [p.target(weight, p.y_0) for p, weight in weighted if weight])

    def end(self, x_0: Tensor) -> Tensor:
        """The last of eq. 8: the finished picture with the clean reference."""
        weighted = ((p, p.range.weight_at_end) for p in self._in_state)
        return merge(x_0, [p.target(weight, p.y_0) for p, weight in weighted if weight])
