"""Colours of one picture moved to the statistics of another, whatever the places.

    z      vector of the channels at a place         m, S   mean and covariance of z over all places
    m', S' wanted                                    R      root of S'
    T(z) = m' + A (z - m),   A = R (R S R)^{-1/2} R  the nearest such map: A = A^T, A S A = S'

The optimal transport between Gaussians (the linear Monge-Kantorovich map of Pitie and Kokaram,
2007). Whitening and colouring (arXiv 1705.08086) has the same A S A^T, but turns colours into one
another: it moves even a picture that has the statistics already. With the diagonals of S and S'
alone it is AdaIN (arXiv 1703.06868).

Where a picture has hardly any contrast, A would raise its noise without bound. So S is taken as
(1 - 1/g^2) S + S' / g^2: nothing is raised more than g times, and what has the wanted statistics
stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import InputError, check_choice
from .lowpass import wide

Moments = Literal["covariance", "deviation"]
MOST_GAIN = 4.0
# Of the mean eigenvalue, in double precision: what is less counts as that.
FLOOR = 1e-9
# Each makes a small eigenvalue 2.25 times as large: enough for the floor, and some to converge.
ITERATIONS = 40


@dataclass(frozen=True)
class ColourStatistics:
    """m and S.

    Attributes:
        mean: (..., C, 1).
        covariance: (..., C, C), diagonal where only deviations are asked for.
    """

    mean: Tensor
    covariance: Tensor


def colour_statistics(
    z: Tensor, moments: Moments = "covariance", area: Tensor | None = None
) -> ColourStatistics:
    """m and S of all places.

    Args:
        z: (..., C, places), fp32 or fp64.
        moments: ``deviation`` leaves out what channels have to do with one another.
        area: how much each place counts, (..., 1, places); ``None`` = all alike.
    """
    share = torch.full_like(z[..., :1, :], 1 / z.shape[-1])
    if area is not None:
        share = area / area.sum(-1, keepdim=True).clamp(min=torch.finfo(z.dtype).tiny)
    mean = (share * z).sum(-1, keepdim=True)
    away = z - mean
    if moments == "deviation":
        return ColourStatistics(mean, torch.diag_embed((share * away.square()).sum(-1)))
    return ColourStatistics(mean, (share * away) @ away.mT)


class ColourTransport:
    """T to statistics that do not change.

    Args:
        wanted: m' and S'.
        most_gain: g.
    """

    def __init__(self, wanted: ColourStatistics, most_gain: float = MOST_GAIN) -> None:
        self._mean, self._share = wanted.mean, most_gain**-2
        covariance = precise(wanted.covariance)
        # Once a run; a step asks the device for no decomposition.
        values, axes = torch.linalg.eigh(covariance)
        self._root = axes * values.clamp(min=0).sqrt()[..., None, :] @ axes.mT
        self._covariance = covariance

    def change(self, z: Tensor, own: ColourStatistics) -> Tensor:
        """T(z) - z.

        Args:
            z: (..., C, places).
            own: of z.
        """
        root, share = self._root, self._share
        mixed = (1 - share) * precise(own.covariance) + share * self._covariance
        matrix = root @ inverse_root(root @ mixed @ root) @ root
        turned = matrix.to(z) - torch.eye(z.shape[-2], device=z.device, dtype=z.dtype)
        change: Tensor = turned @ (z - own.mean) + self._mean - own.mean
        return change


def precise(matrix: Tensor) -> Tensor:
    """In double precision, where the device has it."""
    return matrix if matrix.device.type == "mps" else matrix.double()


def inverse_root(matrix: Tensor) -> Tensor:
    """M^{-1/2} of symmetric matrices (..., C, C), none negative, by coupled Newton-Schulz.

    Products alone, so that no value is read back from the device (Higham, Functions of Matrices,
    2008, eq. 6.35). Eigenvalues below ``FLOOR`` of the mean count as that.
    """
    size = matrix.shape[-1]
    one = torch.eye(size, device=matrix.device, dtype=matrix.dtype)
    trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    limits = torch.finfo(matrix.dtype)
    floor, least = max(FLOOR, 10 * limits.eps), limits.tiny**0.5
    matrix = matrix + (floor * trace / size + least) * one
    norm = (1 + floor) * trace + size * least
    y, z = matrix / norm, one.expand_as(matrix)
    for _ in range(ITERATIONS):
        middle = 1.5 * one - 0.5 * z @ y
        y, z = y @ middle, middle @ z
    root: Tensor = z / norm.sqrt()
    return root


def recolour(picture: Tensor, style: Tensor, *, moments: Moments = "covariance") -> Tensor:
    """A picture in the colours of another: as a reference for layout, without its own colours.

    Args:
        picture: (B, C, ..., H, W), in [-1, 1] or a latent.
        style: the same channels, any size; B = 1 or the picture's.
        moments: what is taken over beside the means, all of the ``covariance`` of the channels or
            the ``deviation`` of each.

    Returns:
        The picture's shape and dtype; not clamped.

    Raises:
        InputError: channels or batch do not fit, or values are not finite.
    """
    check_choice("moments", moments, get_args(Moments))
    for name, one in (("picture", picture), ("style", style)):
        if one.ndim < 4 or not one.is_floating_point() or not bool(one.isfinite().all()):
            raise InputError(
                f"The {name} is {one.dtype} of shape {tuple(one.shape)}; use a finite "
                "floating-point tensor of shape (B, C, H, W)."
            )
    if style.shape[1] != picture.shape[1] or style.shape[0] not in (1, picture.shape[0]):
        raise InputError(
            f"The style has shape {tuple(style.shape)} (batch, channels, height, width), the "
            f"picture {tuple(picture.shape)}; use one style, or one for each picture, of the same "
            "channels."
        )
    z = wide(picture).flatten(2)
    wanted = colour_statistics(wide(style).to(z).flatten(2), moments)
    change = ColourTransport(wanted, most_gain=100.0).change(z, colour_statistics(z, moments))
    return (z + change).reshape(picture.shape).to(picture.dtype)
