"""The bands that phi_N divides a picture or a video into, each as a filter that can be matched.

    phi = phi_{N,T}, the low-pass in space (N) and, of a video, in time (T)

    coarse   phi                what is larger than N, and of a video lasts longer than T frames
    fine     1 - phi            all the rest: the layout is free, and the details are held
    fast     phi_N - phi_{N,T}  of a video, what is larger than N and changes within T frames

All three are linear, and coarse and fine are the whole. Held to a picture, which does not change,
the fast band is stilled, and the slow course of the video is free.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ..errors import InputError
from ..phrases import Phrase
from .lowpass import Kernel, LowPass, TimeAxis, wide

Band = Literal["coarse", "fine", "fast"]


class FineBand(LowPass):
    """1 - phi: what :class:`LowPass` loses; the arguments are the same.

    Raises:
        InputError: nothing is lost.
    """

    def __init__(
        self,
        factor: float,
        kernel: Kernel = "cubic",
        frames_factor: float = 1.0,
        time: TimeAxis = -3,
    ) -> None:
        super().__init__(factor, kernel, frames_factor, time)
        if self.factor == self.frames_factor == 1:
            raise InputError("With N = 1 the fine band is empty; use a factor above 1.")

    def __call__(self, x: Tensor) -> Tensor:
        """x - phi(x), of x's shape and dtype."""
        x_wide = wide(x)
        return (x_wide - super().__call__(x_wide)).to(x.dtype)

    def added(self, x: Tensor, d: Tensor, weight: float | Tensor = 1.0) -> Tensor:
        """x + w (d - phi(d))."""
        return x + weight * self(d)


class FastBand(LowPass):
    """phi_N - phi_{N,T}: of what :class:`LowPass` keeps of each frame, what it loses in time.

    Raises:
        InputError: nothing is lost.
    """

    def __init__(
        self,
        factor: float,
        kernel: Kernel = "cubic",
        frames_factor: float = 1.0,
        time: TimeAxis = -3,
    ) -> None:
        super().__init__(factor, kernel, frames_factor, time)
        if self.frames_factor == 1:
            raise InputError(
                "The fast band is what changes within frames_factor frames, which is 1, so it is "
                "empty; use a frames_factor above 1."
            )
        self._of_frames = LowPass(factor, kernel)

    def __call__(self, x: Tensor) -> Tensor:
        """phi_N(x) - phi_{N,T}(x), of x's shape and dtype."""
        x_wide = wide(x)
        return (self._of_frames(x_wide) - super().__call__(x_wide)).to(x.dtype)

    def added(self, x: Tensor, d: Tensor, weight: float | Tensor = 1.0) -> Tensor:
        """x + w (phi_N(d) - phi_{N,T}(d))."""
        return x + weight * self(d)


# In the order in which they are matched: those of one band compete, those of two do not.
BANDS: dict[Band, type[LowPass]] = {"coarse": LowPass, "fast": FastBand, "fine": FineBand}


def band_in_words(band: Band, frames_factor: float) -> Phrase | None:
    """What is held, where it is not the coarse band of a picture."""
    frames = f"{frames_factor:.3g}"
    if band == "fast":
        return Phrase("Held is what changes within {frames} frames.", frames=frames)
    if band == "fine" and frames_factor == 1:
        return Phrase("Held is what is finer; the layout is free.")
    if band == "fine":
        return Phrase("Held is what is finer, or changes within {frames} frames.", frames=frames)
    if frames_factor == 1:
        return None
    return Phrase("What changes within {frames} frames is free.", frames=frames)
