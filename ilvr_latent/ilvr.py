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
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from .errors import InputError
from .lowpass import Kernel, LowPass, merge
from .noise import HeldNoise, NoiseSource, ReferenceNoise
from .schedule import Schedule, Step

Space = Literal["state", "prediction"]
NoiseLevel = Literal["produced", "current"]


@dataclass(frozen=True)
class Window:
    """Which steps are matched: the paper's conditioning range.

    ``Window(start, end)`` is in fractions of the forward process, 0 = the noisiest timestep and
    1 = t 0, as ComfyUI counts. A step belongs to the window by the timestep it starts from.

    Raises:
        InputError: the bounds are reversed, outside their range or not numbers.
    """

    start: float = 0.0
    end: float = 1.0
    unit: Literal["fraction", "timestep", "step"] = "fraction"

    def __post_init__(self) -> None:
        if self.unit == "fraction" and not 0 <= self.start < self.end <= 1:
            raise InputError(
                f"The window starts at {self.start} and ends at {self.end}; "
                "use fractions with 0 <= start < end <= 1 (0 is the noisiest end)."
            )
        if self.unit == "timestep" and not self.start >= self.end >= 0:
            raise InputError(
                f"The window goes from timestep {self.start} down to {self.end}; "
                "give the higher (noisier) one first, and none below 0."
            )
        if self.unit == "step" and not 0 <= self.start <= self.end:
            raise InputError(
                f"The window goes from step {self.start} to step {self.end}; "
                "steps count upwards from 0 (the noisiest)."
            )

    @classmethod
    def timesteps(cls, hi: int, lo: int) -> Window:
        """Match while hi >= t >= lo, in original timesteps (the paper's "1000 - 200")."""
        return cls(hi, lo, "timestep")

    @classmethod
    def steps(cls, first: int, last: int) -> Window:
        """Match sampling steps ``first`` to ``last``, both included, 0 = the noisiest."""
        return cls(first, last, "step")

    def contains(self, step: Step) -> bool:
        """Whether the state that ``step`` produces is matched."""
        if self.unit == "timestep":
            return self.end <= step.t <= self.start
        position = step.fraction if self.unit == "fraction" else step.index
        return self.start <= position <= self.end


@dataclass(frozen=True, eq=False)
class Reference:
    """An image whose low frequencies the sample takes over.

    Args:
        image: (B, C, H, W) in [-1, 1], or a latent; B = 1, or a divisor of the sample's batch,
            then repeated in turn.
        factor: N, the size in pixels (or latent cells) of the detail that is left to the model.
        window: which steps are matched.
        weight: 0 (off) to 1 (the paper).
        mask: where to match, 1 = fully, broadcastable to (B, 1, H, W); ``None`` = everywhere.
        kernel: of phi_N.

    Raises:
        InputError: the image or mask has the wrong rank or values that are not finite, or the
            weight is outside [0, 1].
    """

    image: Tensor
    factor: float
    window: Window = field(default_factory=Window)
    weight: float = 1.0
    mask: Tensor | None = None
    kernel: Kernel = "cubic"

    def __post_init__(self) -> None:
        LowPass(self.factor, self.kernel)
        if self.image.ndim < 4 or not self.image.is_floating_point():
            raise InputError(
                f"The reference is {self.image.dtype} of shape {tuple(self.image.shape)}; "
                "use a floating-point tensor of shape (B, C, H, W)."
            )
        if not bool(torch.isfinite(self.image).all()):
            raise InputError(
                "The reference holds NaN or infinite values; decode or encode it again in fp32."
            )
        if not 0 <= self.weight <= 1:
            raise InputError(f"The weight is {self.weight}; use a number from 0 (off) to 1.")
        if self.mask is not None and not bool(((self.mask >= 0) & (self.mask <= 1)).all()):
            raise InputError("The mask holds values outside [0, 1]; scale it to that range.")
        if self.mask is not None and not bool((self.mask > 0).any()):
            raise InputError("The mask is empty; paint where to match, or leave the mask out.")

    @property
    def lowpass(self) -> LowPass:
        """phi_N."""
        return LowPass(self.factor, self.kernel)

    def matched_steps(self, schedule: Schedule) -> frozenset[int]:
        """Indices of the sampling steps in the window.

        Raises:
            InputError: there is none.
        """
        matched = frozenset(s.index for s in schedule.steps if self.window.contains(s))
        if not matched:
            raise InputError(
                f"The window from {self.window.unit} {self.window.start} to {self.window.end} "
                f"holds none of the {len(schedule)} steps; widen it or take more steps."
            )
        return matched

    def placed(self, shape: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Image and mask as a run of ``shape`` needs them, fp32 on ``device``.

        Raises:
            InputError: channels, size or batch do not fit.
        """
        if tuple(self.image.shape[1:]) != tuple(shape[1:]):
            raise InputError(
                f"The reference has shape {tuple(self.image.shape)} (batch, channels, height, "
                f"width), the sample {tuple(shape)}; resize the reference to the sample's size."
            )
        if shape[0] % self.image.shape[0]:
            raise InputError(
                f"There are {self.image.shape[0]} reference images for a batch of {shape[0]}; "
                "use one, or a number that divides the batch."
            )
        image = self.image.to(device, torch.float32)
        image = image.repeat(shape[0] // self.image.shape[0], *[1] * (image.ndim - 1))
        if self.mask is None:
            return image, None
        mask = self.mask.to(device, torch.float32)
        try:
            mask.expand(tuple(shape))
        except RuntimeError:
            raise InputError(
                f"The mask has shape {tuple(self.mask.shape)}, which does not fit the sample "
                f"{tuple(shape)}; resize it to the sample's height and width."
            ) from None
        return image, mask


class ILVR:
    """ILVR with its settings; give it to :func:`ilvr_latent.sampling.sample_with`.

    Args:
        references: one or more. Where they overlap in a step they are averaged by weight and
            mask; where they do not, they act side by side.
        space: ``state`` (the paper) or ``prediction`` (DDNM's form).
        reference_noise: ``fresh`` (the paper), ``fixed`` or ``hybrid``, see
            :class:`~ilvr_latent.noise.HeldNoise`.
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
        self.strength: float | Tensor = (
            reference.weight if mask is None else reference.weight * mask
        )
        self.lowpass = reference.lowpass
        # Switched off, it draws no noise either: the sample is then that without it, bit for bit.
        self.matched = reference.matched_steps(schedule) if reference.weight else frozenset[int]()


class ILVRRun:
    """One run of ILVR; see :class:`ilvr_latent.guide.GuideRun`."""

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
        matched = frozenset[int]().union(*(placed.matched for placed in self._placed))
        self._noise = HeldNoise(noise, ilvr.reference_noise, len(matched))

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        """Eq. 8 on the state that the step before produced; x_T stays as it was drawn."""
        if self._ilvr.space != "state" or step.index == 0:
            return x_t
        return self._match_state(x_t, produced_by=step.index - 1, level=step)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """x_0 + w phi(y_0 - x_0) while the step is in the window."""
        if self._ilvr.space != "prediction":
            return x_0
        active = self._active(step.index)
        return merge(x_0, [(placed.lowpass, placed.strength, placed.y_0) for placed in active])

    def end(self, x_0: Tensor) -> Tensor:
        """The last of eq. 8: x_0 with the clean reference."""
        if self._ilvr.space != "state":
            return x_0
        return self._match_state(x_0, produced_by=len(self._schedule) - 1, level=None)

    def _active(self, index: int) -> list[_Placed]:
        return [placed for placed in self._placed if index in placed.matched]

    def _match_state(self, x: Tensor, *, produced_by: int, level: Step | None) -> Tensor:
        """Match the state that step ``produced_by`` made; ``level`` None means it is clean."""
        active = self._active(produced_by)
        if not active:
            return x
        if self._ilvr.noise_level == "current":
            level = self._schedule.steps[produced_by]
        if level is None:
            return merge(x, [(p.lowpass, p.strength, p.y_0) for p in active])
        eps = self._noise(produced_by, x.shape).to(x.device)
        return merge(x, [(p.lowpass, p.strength, level.noised(p.y_0, eps)) for p in active])
