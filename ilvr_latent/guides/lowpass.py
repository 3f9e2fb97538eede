"""phi_N, the low-pass filter of ILVR (arXiv 2108.02938, section 3.2).

    phi_N(x) = U D x        down by N, then up by N, along both image axes
    phi_{N,T}               of a video, or a batch of frames: the same along these too, by T

    N, T    factor, frames_factor    real, >= 1
    D       down            (m, n), m = ceil(n / N): each row averages to one cell
    U       up              (n, m): each row interpolates one pixel
    h       kernel          cubic with a = -0.5 in the paper

Both directions use one interpolation kernel. Going down it is stretched by N (antialiasing), going
up it is not; weights are normalised to one and the signal is mirrored about its edges, the edge
sample repeated. ``torch.nn.functional.interpolate``, which does not, is 13 to 26 % off on noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import InputError
from .min_norm import min_norm

MergeRule = Literal["average", "min_norm"]
Kernel = Literal["cubic", "lanczos2", "lanczos3", "linear", "box", "spectral"]
TimeAxis = Literal[-3, -4]
AXES: dict[TimeAxis, tuple[str, ...]] = {-3: ("T", "H", "W"), -4: ("T", "C", "H", "W")}


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, inner, torch.where(x <= 2, outer, 0.0))


def _lanczos(x: Tensor, lobes: int) -> Tensor:
    return torch.where(x.abs() < lobes, torch.sinc(x) * torch.sinc(x / lobes), 0.0)


def _linear(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


# The kernel h(x) and the width of its support.
INTERPOLATORS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "cubic": (_cubic, 4.0),
    "lanczos2": (lambda x: _lanczos(x, 2), 4.0),
    "lanczos3": (lambda x: _lanczos(x, 3), 6.0),
    "linear": (_linear, 2.0),
}


def _resampling(
    length: int, out_length: int, scale: float, h: Callable[[Tensor], Tensor], support: float
) -> Tensor:
    """The matrix (out_length, length) that resamples a mirrored signal by ``scale``.

    Args:
        length: samples in.
        out_length: samples out, laid about the same centre.
        scale: output samples per input sample; below 1 the kernel is stretched by 1 / scale.
        h: the kernel.
        support: its width.
    """
    stretch = max(1.0, 1.0 / scale)
    out = torch.arange(out_length, dtype=torch.float64)
    centre = (out - (out_length - 1) / 2) / scale + (length - 1) / 2
    reach = math.ceil(support * stretch / 2) + 1
    taps = centre.floor().long()[:, None] + torch.arange(-reach, reach + 1)
    weights = h((centre[:, None] - taps) / stretch)
    weights = weights / weights.sum(dim=1, keepdim=True)
    # Half-sample symmetric: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ...
    folded = taps % (2 * length)
    mirrored = torch.where(folded < length, folded, 2 * length - 1 - folded)
    matrix = torch.zeros(out_length, length, dtype=torch.float64)
    return matrix.scatter_add_(1, mirrored, weights)


def _cells(length: int, cells: int, factor: float) -> tuple[Tensor, Tensor]:
    """Mean over each cell and replication: D and U of an exact projector for any factor."""
    pixel = torch.arange(length, dtype=torch.float64)
    cell = ((pixel + 0.5 - length / 2) / factor + cells / 2).floor().long().clamp(0, cells - 1)
    up = torch.nn.functional.one_hot(cell, cells).double()
    return (up / up.sum(dim=0)).T, up


def _cosines(length: int, cells: int) -> tuple[Tensor, Tensor]:
    """The first ``cells`` functions of the orthonormal DCT-II: the ideal low pass of a mirror."""
    pixel, frequency = torch.arange(length).double(), torch.arange(cells).double()
    down = torch.cos(math.pi / length * (pixel + 0.5) * frequency[:, None])
    down = down / down.norm(dim=1, keepdim=True)
    return down, down.T


def low_pass_matrices(length: int, factor: float, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """D (m, length) and U (length, m) along one axis, in float64 on the CPU.

    A factor beyond the length is the length: one cell, the mean.
    """
    factor = min(factor, float(length))
    # 1e-9: 64 / (64 / 5) is 5, not the next integer above it.
    cells = math.ceil(length / factor - 1e-9)
    if kernel == "box":
        return _cells(length, cells, factor)
    if kernel == "spectral":
        return _cosines(length, cells)
    h, support = INTERPOLATORS[kernel]
    return (
        _resampling(length, cells, 1 / factor, h, support),
        _resampling(cells, length, factor, h, support),
    )


@lru_cache(maxsize=128)
def _cached_matrices(
    length: int, factor: float, kernel: Kernel, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    # Hosts sample in inference mode; a matrix made there could serve no later gradient.
    with torch.inference_mode(False):
        down, up = low_pass_matrices(length, factor, kernel)
        return down.to(device, dtype), up.to(device, dtype)


class LowPass:
    """phi_N as a callable (arXiv 2108.02938, section 3.2).

    Args:
        factor: N, real and at least 1: the size in pixels (or latent cells) of what is lost.
            From the image's side on, only the mean is left.
        kernel: ``cubic`` is the paper's. ``box`` (mean over cells) and ``spectral`` (ideal low
            pass) are exact projectors, phi(phi(x)) = phi(x), the others are not.
        frames_factor: T, of a video, likewise: how many frames what is lost lasts; 1 leaves each
            frame to itself.
        time: the axis of the frames: -3, (..., T, H, W), or -4, (T, C, H, W), of a batch of frames.

    Raises:
        InputError: a factor is below 1 or not a number, or the kernel is unknown.
    """

    def __init__(
        self,
        factor: float,
        kernel: Kernel = "cubic",
        frames_factor: float = 1.0,
        time: TimeAxis = -3,
    ) -> None:
        for name, value in (("factor N", factor), ("frames_factor T", frames_factor)):
            if not (math.isfinite(value) and value >= 1):
                raise InputError(f"The {name} is {value}; use a number of at least 1.")
        if kernel not in get_args(Kernel):
            raise InputError(f"The kernel is {kernel!r}; use one of {list(get_args(Kernel))}.")
        self.factor, self.frames_factor = float(factor), float(frames_factor)
        self.kernel: Kernel = kernel
        self.time: TimeAxis = time

    def __repr__(self) -> str:
        frames = "" if self.frames_factor == 1 else f", frames_factor={self.frames_factor:g}"
        return f"{type(self).__name__}({self.factor:g}, kernel={self.kernel!r}{frames})"

    def __call__(self, x: Tensor) -> Tensor:
        """The low frequencies of an image.

        Args:
            x: (..., H, W), any float dtype; dimensions in front are batch. With a
                ``frames_factor`` above 1, (..., T, H, W) or (T, C, H, W), as ``time`` says.

        Returns:
            The same shape and dtype; computed in fp32 where the input is narrower.

        Raises:
            InputError: the tensor is not floating point or has too few dimensions.
        """
        sides = ("H", "W") if self.frames_factor == 1 else AXES[self.time]
        if not x.is_floating_point() or x.ndim < len(sides):
            raise InputError(
                f"The low-pass filter was given {x.dtype} of shape {tuple(x.shape)}; "
                f"use a floating-point tensor of shape (..., {', '.join(sides)})."
            )
        if self.factor == 1:
            return x.clone() if self.frames_factor == 1 else self._slow(wide(x)).to(x.dtype)
        rows, up_w = self._rows(x)
        return (rows @ up_w.T).to(x.dtype)

    def added(self, x: Tensor, d: Tensor, weight: float | Tensor = 1.0) -> Tensor:
        """x + w phi(d), in one pass over the image where the weight is a number.

        Args:
            x: (..., H, W), fp32 or fp64.
            d: the same shape and dtype.
            weight: a number, or a tensor that broadcasts to x.

        Returns:
            The same shape and dtype.
        """
        if isinstance(weight, Tensor) or self.factor == 1:
            return x + weight * self(d)
        rows, up_w = self._rows(d)
        flat = x.reshape(-1, x.shape[-1])
        out = torch.addmm(flat, rows.reshape(-1, rows.shape[-1]), up_w.T, alpha=weight)
        return out.reshape(x.shape)

    def _rows(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """U_h D_h x D_w^T, and the U_w that is still to be applied.

        Kept factored: U (D x) costs far less than (U D) x, whose matrix is n by n, or than
        gathering taps (11 to 87 times less, docs/benchmarks.md).
        """
        x = wide(x)
        height, width = x.shape[-2:]
        down_h, up_h = _cached_matrices(height, self.factor, self.kernel, x.device, x.dtype)
        down_w, up_w = _cached_matrices(width, self.factor, self.kernel, x.device, x.dtype)
        return up_h @ self._slow(down_h @ (x @ down_w.T)), up_w

    def _slow(self, x: Tensor) -> Tensor:
        """U_T D_T x along the frames; x itself where each is left to itself."""
        if self.frames_factor == 1:
            return x
        frames = x.shape[self.time]
        down, up = _cached_matrices(frames, self.frames_factor, self.kernel, x.device, x.dtype)
        return (up @ (down @ x.flatten(self.time + 1))).reshape(x.shape)


def wide(x: Tensor) -> Tensor:
    """x, in fp32 where it is narrower."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def match(x: Tensor, y: Tensor, lowpass: LowPass, weight: float | Tensor = 1.0) -> Tensor:
    """Give ``x`` the low frequencies of ``y``: x + w phi(y - x) (arXiv 2108.02938, eq. 8).

    phi is linear, so one application does what the paper writes as phi(y) + x - phi(x).

    Args:
        x: (..., H, W).
        y: what to match, of a shape that broadcasts to x.
        lowpass: phi_N.
        weight: 0 leaves x as it is, 1 is the paper; a tensor that broadcasts to x is a mask.

    Returns:
        x's shape and dtype; a new tensor.
    """
    if isinstance(weight, (int, float)) and weight == 0:
        return x.clone()
    dtype = torch.promote_types(x.dtype, torch.float32)
    x_wide = x.to(dtype)
    return lowpass.added(x_wide, y.to(dtype) - x_wide, weight).to(x.dtype)


def merge(
    x: Tensor,
    targets: Sequence[tuple[LowPass, float | Tensor, Tensor]],
    rule: MergeRule = "average",
) -> Tensor:
    """x + sum_r w_r phi_r(y_r - x), the weights scaled down where they sum to more than one.

    Args:
        x: (..., H, W).
        targets: phi, weight (a number, or a mask that broadcasts to x) and y of each reference.
        rule: ``min_norm`` shares out the weight of a place by :func:`.min_norm.min_norm`.

    Returns:
        x's shape and dtype; x itself where there is no target.
    """
    if not targets:
        return x
    x_wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    apart = [(phi, weight, y.to(x_wide) - x_wide) for phi, weight, y in targets]
    total: float | Tensor = sum(weight for _, weight, _ in targets)
    excess = total.clamp(min=1.0) if isinstance(total, Tensor) else max(total, 1.0)
    weights = [weight / excess for _, weight, _ in targets]
    if rule == "min_norm" and len(targets) > 1:
        weights = _by_min_norm(apart, total / excess)
    refined = x_wide
    for (phi, _, d), weight in zip(apart, weights, strict=True):
        refined = phi.added(refined, d, weight)
    return refined.to(x.dtype)


def _by_min_norm(
    apart: Sequence[tuple[LowPass, float | Tensor, Tensor]], total: float | Tensor
) -> list[float | Tensor]:
    """The weight of each place, shared out by the hull of the changes in each image and channel."""
    changes = [(weight * phi(d)).flatten(-2) for phi, weight, d in apart]
    _, shares = min_norm(torch.stack(changes, -2))
    # Where only a reference without a share acts, it acts alone.
    shares = shares.clamp(min=torch.finfo(shares.dtype).eps)
    weighted = [
        w * share[..., None, None]
        for (_, w, _), share in zip(apart, shares.unbind(-1), strict=True)
    ]
    whole = sum(weighted[1:], weighted[0])
    whole = whole.clamp(min=torch.finfo(whole.dtype).tiny)
    return [total * weight / whole for weight in weighted]
