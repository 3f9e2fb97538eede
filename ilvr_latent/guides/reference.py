"""A reference with its settings: what of it is matched, when, where and how strictly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..diffusion.schedule import Schedule
from ..errors import InputError
from .lowpass import Kernel, LowPass
from .weight import Weight, WeightSchedule, check_weight, weight_at
from .window import Window


@dataclass(frozen=True, eq=False)
class Reference:
    """An image whose low frequencies the sample takes over.

    Args:
        image: (B, C, H, W) in [-1, 1], or a latent; B = 1, or a divisor of the sample's batch,
            then repeated in turn.
        factor: N, the size in pixels (or latent cells) of the detail that is left to the model.
        window: which steps are matched.
        weight: 0 (off) to 1 (the paper), or a schedule of it over the window.
        mask: where to match, 1 = fully, broadcastable to (B, 1, H, W); ``None`` = everywhere.
        kernel: of phi_N.

    Raises:
        InputError: the image or mask has the wrong rank or values that are not finite, or the
            weight is outside [0, 1].
    """

    image: Tensor
    factor: float
    window: Window = field(default_factory=Window)
    weight: Weight = 1.0
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
        if not isinstance(self.weight, WeightSchedule):
            check_weight(self.weight)
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

    def step_weights(self, schedule: Schedule) -> dict[int, float]:
        """The weight of each sampling step that is matched; a weight of 0 matches nothing.

        Raises:
            InputError: there is a weight, but no step in the window.
        """
        # Switched off, it draws no noise either: the sample is then that without it, bit for bit.
        matched = self.matched_steps(schedule) if self.weight else ()
        steps = (schedule.steps[index] for index in matched)
        weights = {s.index: weight_at(self.weight, self.window.progress(s)) for s in steps}
        return {index: weight for index, weight in weights.items() if weight}

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
