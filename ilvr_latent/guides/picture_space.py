"""ILVR for latent models in the space of pictures: eq. 8 of arXiv 2108.02938 behind the decoder.

    x_0   clean estimate, a latent       E, D   encoder and decoder      y   reference, a picture
    p     D(x_0)                         z      the nearest picture to p with y's low frequencies

    x_0 <- x_0 + E(z) - E(p)

A decoder is not linear, so low frequencies of latents that are equal leave those of the pictures
apart. What E and D lose on their way there and back is in both terms of the difference, so the
latent keeps it. A decoder and an encoder at every step would cost more than the network: a few
steps are enough, and the last ones count.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..diffusion.guide import GuideRun, Run
from ..diffusion.schedule import Step
from ..errors import InputError
from .lowpass import Kernel
from .picture_match import FactorUnit, lowpass_of, match_picture
from .window import Window


class PictureILVR:
    """Hold the decoded estimate to the low frequencies of a picture, in few steps; a guide.

    Args:
        reference: (B, 3, H, W) in [-1, 1], of the size that is decoded; B = 1 or the batch.
        factor: N, in pixels of the picture.
        decode: latents of the run to pictures, about [-1, 1].
        encode: pictures to latents of the run.
        kernel: of phi_N.
        factor_unit: of N: ``pixels``, or a ``share`` of the shorter side.
        window: where steps are chosen from.
        times: how many, evenly over the window, its last one included.
        weight: 0 (off) to 1.
        mask: (B, 1, H, W) in [0, 1], where to match; ``None`` = everywhere.

    Raises:
        InputError: a number or a choice cannot be used.
    """

    def __init__(
        self,
        reference: Tensor,
        factor: float,
        decode: Callable[[Tensor], Tensor],
        encode: Callable[[Tensor], Tensor],
        *,
        kernel: Kernel = "cubic",
        factor_unit: FactorUnit = "pixels",
        window: Window | None = None,
        times: int = 3,
        weight: float = 1.0,
        mask: Tensor | None = None,
    ) -> None:
        lowpass_of(factor, factor_unit, kernel, reference)
        if times < 1:
            raise InputError(f"times is {times}; use 1 (the last step of the window) or more.")
        if not 0 <= weight <= 1:
            raise InputError(f"The weight is {weight:g}; use a number from 0 to 1.")
        self.window, self.times, self.weight = window or Window(), times, weight
        self.decode, self.encode = decode, encode
        self._reference, self._mask = reference, mask
        self._factor, self._unit, self._kernel = factor, factor_unit, kernel

    def begin(self, run: Run) -> GuideRun | None:
        """Choose the steps.

        Raises:
            InputError: the window holds none.
        """
        if not self.weight:
            return None
        steps = [step for step in run.schedule.steps if not step.is_clean]
        inside = [step.index for step in steps if self.window.contains(step)]
        if not inside:
            raise InputError(
                f"The window from {self.window.unit} {self.window.start} to {self.window.end} "
                f"holds none of the {len(run.schedule)} steps; widen it or take more steps."
            )
        times = min(self.times, len(inside))
        chosen = {inside[-1 - round(k * len(inside) / times)] for k in range(times)}
        return _PictureRun(self, frozenset(chosen))

    def matched(self, p: Tensor) -> Tensor:
        """z."""
        mask = None if self._mask is None else self._mask.to(p)
        return match_picture(
            p,
            self._reference.to(p),
            self._factor,
            self._kernel,
            factor_unit=self._unit,
            weight=self.weight,
            mask=mask,
        )


class _PictureRun(GuideRun):
    def __init__(self, guide: PictureILVR, chosen: frozenset[int]) -> None:
        self._guide, self._chosen = guide, chosen

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        if step.index not in self._chosen:
            return x_0
        guide = self._guide
        p = guide.decode(x_0).clamp(-1, 1)
        change: Tensor = guide.encode(guide.matched(p)) - guide.encode(p)
        return x_0 + change.to(x_0)
