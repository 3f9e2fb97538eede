"""Cold Diffusion: Inverting Arbitrary Image Transforms Without Noise, arXiv 2208.09392.

From the last level s = S down to 1:

    x_{s-1} = D(R(x_s, s), s - 1)                            Algorithm 1
    x_{s-1} = x_s - D(R(x_s, s), s) + D(R(x_s, s), s - 1)    Algorithm 2

    x_s   state       D(x_0, s)   degradation; D(x_0, 0) = x_0       R(x_s, s)   restoration of x_0

With Gaussian noise for a degradation, and the noise that R implies, both are DDIM with eta 0.
Algorithm 2 undoes a degradation that is linear in s exactly, whatever R says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError, check_choice

Algorithm = Literal[1, 2]
Restore = Callable[[Tensor, int], Tensor]
"""(x_s, s) to the clean estimate."""
Degrade = Callable[[Tensor, int], Tensor]
"""(x_0, s) to x_s."""


@torch.no_grad()
def cold_sample(
    x: Tensor,
    restore: Restore,
    degrade: Degrade,
    levels: int,
    *,
    algorithm: Algorithm = 2,
    callback: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Undo a degradation level by level.

    Args:
        x: the degraded picture x_S, (B, C, H, W).
        restore: R(x_s, s), asked before the degradation at each level.
        degrade: D(x_0, s); never asked for s = 0, which is x_0.
        levels: S, 1 or more.
        algorithm: 2, the paper's, or 1, the naive one.
        callback: called after each level s with s and the state x_{s-1}.

    Returns:
        x_0, of x's shape.

    Raises:
        InputError: there is no such algorithm, or no level.
    """
    check_choice("algorithm", algorithm, get_args(Algorithm))
    if levels < 1:
        raise InputError(f"levels is {levels}; use 1 or more.")
    for s in range(levels, 0, -1):
        x_0 = restore(x, s)
        x = cold_step(x, x_0, s, degrade, algorithm)
        if callback is not None:
            callback(s, x)
    return x


def cold_step(x_s: Tensor, x_0: Tensor, s: int, degrade: Degrade, algorithm: Algorithm) -> Tensor:
    """x_{s-1} from x_s and its restoration x_0."""
    less_degraded = x_0 if s == 1 else degrade(x_0, s - 1)
    return less_degraded if algorithm == 1 else x_s - degrade(x_0, s) + less_degraded


class GaussianNoise:
    """D(x_0, s) = sqrt(a_s) x_0 + sqrt(1 - a_s) z.

    z is what the last clean estimate left of its state, so one object serves one run at a time.

    Args:
        a_bars: a_s for s = 1 .. S, falling from below 1.
        fixed_noise: z throughout instead, usually x_S.

    Raises:
        InputError: the a_bars do not fall, or are outside [0, 1).
    """

    def __init__(
        self, a_bars: Sequence[float] | Tensor, *, fixed_noise: Tensor | None = None
    ) -> None:
        levels = [float(a_bar) for a_bar in a_bars]
        if (
            not levels
            or levels != sorted(levels, reverse=True)
            or not 0 <= levels[-1] <= levels[0] < 1
        ):
            raise InputError(
                f"The a_bars are {levels}; give falling numbers below 1, the least noisy first."
            )
        self._a_bars, self._z = levels, fixed_noise
        self._fixed = fixed_noise is not None

    def imply(self, x_s: Tensor, x_0: Tensor, s: int) -> None:
        """Take what a clean estimate leaves of a state for z, unless that is fixed."""
        if not self._fixed:
            a = self._a_bars[s - 1]
            self._z = (x_s - math.sqrt(a) * x_0) / math.sqrt(1 - a)

    def degrade(self, x_0: Tensor, s: int) -> Tensor:
        """D(x_0, s).

        Raises:
            InputError: there is no such level, or nothing was restored yet and there is no noise.
        """
        _check_level(s, len(self._a_bars))
        if s == 0:
            return x_0
        if self._z is None:
            raise InputError(
                "There is no noise to degrade with before the first restoration; "
                "restore a state, or give fixed_noise."
            )
        a = self._a_bars[s - 1]
        return math.sqrt(a) * x_0 + math.sqrt(1 - a) * self._z


class GaussianDegradation(GaussianNoise):
    """Gaussian noise, with which a denoiser is a restoration.

    Args:
        a_bars: a_s for s = 1 .. S, falling from below 1.
        denoise: (x_s, s) to the clean estimate.
        fixed_noise: z throughout, usually x_S; by default what each restoration leaves.

    Raises:
        InputError: the a_bars do not fall, or are outside [0, 1).
    """

    def __init__(
        self,
        a_bars: Sequence[float] | Tensor,
        denoise: Restore,
        *,
        fixed_noise: Tensor | None = None,
    ) -> None:
        super().__init__(a_bars, fixed_noise=fixed_noise)
        self._denoise = denoise

    def restore(self, x_s: Tensor, s: int) -> Tensor:
        """R(x_s, s): the clean estimate; the rest of the state is remembered as noise."""
        x_0 = self._denoise(x_s, s)
        self.imply(x_s, x_0, s)
        return x_0


class BlurDegradation:
    """The first s of several Gaussian blurs, one after another.

    Args:
        size: of each kernel, odd.
        stds: the standard deviation of each in pixels, above 0.
        mode: what lies beyond the edges: ``circular``, the authors', or ``reflect``.

    Raises:
        InputError: a setting is outside its range.
    """

    def __init__(
        self,
        size: int,
        stds: Sequence[float],
        *,
        mode: Literal["circular", "reflect"] = "circular",
    ) -> None:
        check_choice("mode", mode, ("circular", "reflect"))
        if size < 1 or size % 2 == 0:
            raise InputError(f"The size of the blur is {size}; use an odd number of pixels.")
        if not stds or min(stds) <= 0:
            raise InputError(f"The stds of the blurs are {list(stds)}; use numbers above 0.")
        self._reach, self._mode = size // 2, mode
        away = torch.arange(-self._reach, self._reach + 1, dtype=torch.float64)
        self._kernels = [torch.softmax(-(away**2) / (2 * std**2), dim=0) for std in stds]

    def __call__(self, x_0: Tensor, s: int) -> Tensor:
        """D(x_0, s).

        Args:
            x_0: (B, C, H, W).
            s: 0 (as it is) to the number of blurs.

        Raises:
            InputError: there is no such level, or the picture is smaller than the blur.
        """
        _check_level(s, len(self._kernels))
        if self._reach >= min(x_0.shape[-2:]):
            raise InputError(
                f"The blur reaches {self._reach} pixels, too far for a picture of "
                f"{x_0.shape[-1]}x{x_0.shape[-2]}; use a smaller size."
            )
        x = x_0 if x_0.dtype == torch.float64 else x_0.float()
        for kernel in self._kernels[:s]:
            x = self._along_rows(self._along_rows(x, kernel).mT, kernel).mT
        return x.to(x_0.dtype)

    def _along_rows(self, x: Tensor, kernel: Tensor) -> Tensor:
        reach = self._reach
        padded = F.pad(x, (reach, reach, 0, 0), mode=self._mode)
        weight = kernel.to(x)[None, None, None]
        flat = padded.flatten(0, 1)[:, None]
        return F.conv2d(flat, weight).reshape(x.shape)


class MaskDegradation:
    """The first s of several masks, one over another: x_0 times their product.

    Args:
        masks: (S, ...), each broadcasts to the picture; 1 keeps, 0 takes away.
    """

    def __init__(self, masks: Tensor) -> None:
        self._kept = masks.cumprod(0)

    @classmethod
    def growing(
        cls, height: int, width: int, variances: Sequence[float], centre: tuple[float, float]
    ) -> MaskDegradation:
        """Holes of Gaussian shape about one point, as in the paper's inpainting.

        Args:
            height: of the pictures.
            width: of the pictures.
            variances: of each hole, in square pixels; the paper's rise.
            centre: row and column of the holes, in pixels.
        """
        rows = torch.arange(height)[:, None] - centre[0]
        columns = torch.arange(width) - centre[1]
        squared = rows**2 + columns**2
        return cls(torch.stack([1 - torch.exp(-squared / (2 * v)) for v in variances]))

    def __call__(self, x_0: Tensor, s: int) -> Tensor:
        """D(x_0, s).

        Raises:
            InputError: there is no such level.
        """
        _check_level(s, len(self._kept))
        return x_0 if s == 0 else x_0 * self._kept[s - 1].to(x_0)


class FilterDegradation:
    """A filter for each level, each applied to the picture itself.

    ``FilterDegradation([LowPass(n, "box") for n in (2, 4, 8)])`` is the paper's loss of resolution,
    down and up again, and a chain of projectors: each phi_N loses what the one before has left. Any
    other kernel makes it ILVR's filter bank.

    Args:
        filters: that of level s = 1 first.
    """

    def __init__(self, filters: Sequence[Callable[[Tensor], Tensor]]) -> None:
        self._filters = tuple(filters)

    def __call__(self, x_0: Tensor, s: int) -> Tensor:
        """D(x_0, s).

        Raises:
            InputError: there is no such level.
        """
        _check_level(s, len(self._filters))
        return x_0 if s == 0 else self._filters[s - 1](x_0)


def _check_level(s: int, levels: int) -> None:
    if not 0 <= s <= levels:
        raise InputError(f"The level is {s}, but the degradation has {levels}; use 0 to {levels}.")
