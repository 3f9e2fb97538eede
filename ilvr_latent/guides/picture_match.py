"""Finished pictures with the low frequencies of a reference, within what a screen can show.

    min |z - x|   so that   D z = D (x + w (y - x)),   low <= z <= high

    x   picture      w   weight        D, phi   down by N, and the whole low-pass filter phi_N = U D
    y   reference    z   the result    c        what is added to x before it is clamped

phi(x + phi(y - x)) is phi(y) only where phi is a projector and nothing is clamped. Both are mended
by going on, c <- c + phi(x + w (y - x) - z) with z = clamp(x + c): for a projector the ascent of
the dual problem (Uzawa 1958), so z is the nearest such picture. There is always one, since x and y
are in range. What a mask leaves out is filled from what it takes, from coarse to fine ("push-pull"
of The Lumigraph, Gortler et al., SIGGRAPH 1996): nothing is read across its edge.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError, check_choice
from .lowpass import Kernel, LowPass

FactorUnit = Literal["pixels", "share"]
Beyond = Literal["keep", "spread"]
# Of the range: a tenth of a level of eight bits, which no picture file can show.
TOLERANCE = 1 / 2550
MOST_ROUNDS = 200


def match_picture(
    picture: Tensor,
    reference: Tensor,
    factor: float,
    kernel: Kernel = "cubic",
    *,
    factor_unit: FactorUnit = "pixels",
    weight: float = 1.0,
    mask: Tensor | None = None,
    beyond: Beyond = "keep",
    limits: tuple[float, float] = (-1.0, 1.0),
) -> Tensor:
    """Give a finished picture the low frequencies of a reference: its colours, not its detail.

    Args:
        picture: (B, C, H, W) within ``limits``; values beyond them are clamped.
        reference: the same shape, or B = 1.
        factor: N; what is finer stays the picture's own.
        kernel: of phi_N.
        factor_unit: of N: ``pixels``, or a ``share`` of the shorter side.
        weight: 0 (the picture as it is, bit for bit) to 1.
        mask: where the two are compared, 1 = fully, of a shape that broadcasts to (B, 1, H, W).
        beyond: the mask's edge, ``keep`` the picture as it is, or ``spread`` the change there too:
            what a picture is drawn on with keeps up with what is known of it.
        limits: lowest and highest value.

    Returns:
        The same shape and dtype, within ``limits``. Its low frequencies are those asked for to a
        tenth of an 8-bit level; a little less nearly where much of the picture is clamped.

    Raises:
        InputError: sizes that differ, a number or choice that cannot be used, an empty mask.
    """
    check_choice("rule beyond the mask", beyond, get_args(Beyond))
    _check(picture, reference, weight)
    phi = lowpass_of(factor, factor_unit, kernel, picture)
    if weight == 0:
        return picture.clone()
    x = picture.to(torch.promote_types(picture.dtype, torch.float32)).clamp(*limits)
    wanted = x + weight * (reference.to(x).clamp(*limits) - x)
    area = None if mask is None else _area(mask, x)
    z = _nearest(x, wanted, phi, area, limits)
    if area is not None and beyond == "keep":
        z = x + area * (z - x)
    return z.to(picture.dtype)


def lowpass_of(factor: float, unit: FactorUnit, kernel: Kernel, picture: Tensor) -> LowPass:
    """phi_N for a picture (..., H, W).

    Raises:
        InputError: no such unit or kernel, or a factor that is none in its unit.
    """
    check_choice("unit of the factor", unit, get_args(FactorUnit))
    if unit == "pixels":
        return LowPass(factor, kernel)
    if not 0 < factor <= 1:
        raise InputError(
            f"The factor is {factor:g} of the side; use a share above 0 (the reference itself) up "
            "to 1 (its mean colour)."
        )
    return LowPass(max(1.0, factor * min(picture.shape[-2:])), kernel)


def _nearest(
    x: Tensor, wanted: Tensor, phi: LowPass, area: Tensor | None, limits: tuple[float, float]
) -> Tensor:
    """z of the problem above."""
    tolerance = TOLERANCE * (limits[1] - limits[0])
    z, c = x, torch.zeros_like(x)
    for _ in range(MOST_ROUNDS):
        apart = wanted - z
        change = phi(apart if area is None else _filled(apart, area))
        if float(change.abs().max()) < tolerance:
            break
        c = c + change
        z = (x + c).clamp(*limits)
    return z


def _filled(d: Tensor, area: Tensor) -> Tensor:
    """``d`` where the area is 1, and elsewhere what is around it, from coarse to fine.

    Args:
        d: (B, C, H, W).
        area: (B, 1, H, W) in [0, 1], not empty.
    """
    height, width = d.shape[-2:]
    if height == width == 1:
        return d
    # An odd side is filled up with nothing.
    frame = (0, width % 2, 0, height % 2)
    sums, parts = F.avg_pool2d(F.pad(d * area, frame), 2), F.avg_pool2d(F.pad(area, frame), 2)
    means = sums / parts.clamp(min=torch.finfo(parts.dtype).tiny)
    coarse = _filled(means, (4 * parts).clamp(max=1))
    around = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    return area * d + (1 - area) * around[..., :height, :width]


def _area(mask: Tensor, x: Tensor) -> Tensor:
    if not bool(((mask >= 0) & (mask <= 1)).all()):
        raise InputError("The mask holds values outside [0, 1]; scale it to that range.")
    try:
        area = mask.to(x).expand(x.shape[0], 1, *x.shape[-2:])
    except RuntimeError:
        raise InputError(
            f"The mask has shape {tuple(mask.shape)}, which does not fit the picture "
            f"{tuple(x.shape)}; resize it to the picture's height and width."
        ) from None
    if not bool((area.amax((-2, -1)) > 0).all()):
        raise InputError("The mask is empty; paint where to match, or leave the mask out.")
    return area


def _check(picture: Tensor, reference: Tensor, weight: float) -> None:
    for name, one in (("picture", picture), ("reference", reference)):
        if one.ndim != 4 or not one.is_floating_point():
            raise InputError(
                f"The {name} is {one.dtype} of shape {tuple(one.shape)}; "
                "use a floating-point tensor of shape (B, C, H, W)."
            )
        if not bool(one.isfinite().all()):
            raise InputError(f"The {name} holds NaN or infinite values; decode it again in fp32.")
    if reference.shape[0] not in (1, picture.shape[0]) or reference.shape[1:] != picture.shape[1:]:
        raise InputError(
            f"The reference has shape {tuple(reference.shape)} (batch, channels, height, width), "
            f"the picture {tuple(picture.shape)}; resize the reference to the picture's size."
        )
    if not 0 <= weight <= 1:
        raise InputError(f"The weight is {weight:g}; use a number from 0 to 1.")
