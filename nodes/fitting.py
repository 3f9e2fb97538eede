"""References, masks and pictures brought to the size, rank and batch of what is sampled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import torch.nn.functional as F
from torch import Tensor

from ..ilvr_latent import InputError
from ..ilvr_latent.guides.frames import with_frames
from ..ilvr_latent.pictures.images import Fit

# Of Stable Diffusion's VAEs, and most since.
USUAL_CELL = 8


def resized(x: Tensor, height: int, width: int) -> Tensor:
    """(..., H, W) at another size, antialiased, in fp32 (CPUs have no half-precision bicubic)."""
    if tuple(x.shape[-2:]) == (height, width):
        return x.float()
    planes = x.float().reshape(-1, 1, *x.shape[-2:])
    planes = F.interpolate(
        planes, (height, width), mode="bicubic", antialias=True, align_corners=False
    )
    return planes.reshape(*x.shape[:-2], height, width)


def to_batch(x: Tensor, size: int) -> Tensor:
    """The first dimension repeated in turn, or cut, to ``size``: ComfyUI's rule for batches."""
    if x.shape[0] == size:
        return x
    repeats = math.ceil(size / x.shape[0])
    return x.repeat(repeats, *[1] * (x.ndim - 1))[:size]


def fit_latent(
    latent: Tensor, shape: Sequence[int], pictures: Sequence[int] | None = None
) -> Tensor:
    """A reference latent as a run of ``shape`` needs it.

    Args:
        latent: (B, C, H, W) or (B, C, T, H, W).
        shape: of the latent that is sampled, likewise.
        pictures: which picture of its batch each row of the run is; by default the rows in order.

    Returns:
        ``shape``, fp32. One frame serves all frames; a clip of another length is stretched over
        the time.

    Raises:
        InputError: the channels differ.
    """
    check_channels(latent.shape[1], shape[1])
    if latent.ndim == 4 and len(shape) == 5:
        latent = latent.unsqueeze(2)
    if latent.ndim == 5:
        latent = with_frames(latent.float(), shape[2]) if len(shape) == 5 else latent[:, :, 0]
    fitted = resized(latent, *shape[-2:])
    if pictures is None:
        return to_batch(fitted, shape[0])
    # The host's rule for batches: repeated in turn.
    return fitted[[picture % len(fitted) for picture in pictures]]


def pixels_to_a_cell(latent_format: Any) -> int:
    """Along a side; where an older host does not say, it is taken for the usual 8."""
    return int(getattr(latent_format, "spacial_downscale_ratio", USUAL_CELL))


def check_channels(reference: int, model: int) -> None:
    """Refuse a latent of another kind of model.

    Raises:
        InputError: the numbers differ.
    """
    if reference != model:
        raise InputError(
            f"The reference latent has {reference} channels, but this model samples {model}; "
            "encode the reference with the VAE that belongs to this model."
        )


def fit_mask(mask: Tensor, shape: Sequence[int]) -> Tensor:
    """A mask as a run of ``shape`` needs it.

    Args:
        mask: (H, W) or (B, H, W) in [0, 1]. For a video these are its frames, stretched over
            its time, as the host reads noise masks.
        shape: of the latent that is sampled.

    Returns:
        (B, 1, H, W), or (1, 1, T, H, W) for a video latent, fp32 in [0, 1].
    """
    mask = resized(mask.reshape(-1, *mask.shape[-2:]), *shape[-2:]).clamp(0, 1)
    if len(shape) == 5:
        return F.interpolate(mask[None, None], tuple(shape[-3:]), mode="trilinear")
    return to_batch(mask.unsqueeze(1), shape[0])


def fit_image(image: Tensor, width: int, height: int, fit: Fit) -> Tensor:
    """Pictures at another size and aspect; the same rules as the command line's ``--fit``.

    Args:
        image: (B, H, W, 3) in [0, 1].
        width: in pixels.
        height: in pixels.
        fit: ``crop`` fills the frame and cuts what sticks out, ``pad`` shows everything on white,
            ``stretch`` ignores the aspect.

    Returns:
        (B, height, width, 3) in [0, 1], fp32.

    Raises:
        InputError: unknown ``fit``.
    """
    if fit not in get_args(Fit):
        raise InputError(f"fit is {fit!r}; use one of {list(get_args(Fit))}.")
    x = image.movedim(-1, 1)
    if fit == "stretch":
        return resized(x, height, width).clamp(0, 1).movedim(1, -1)
    ratios = height / x.shape[-2], width / x.shape[-1]
    scale = max(ratios) if fit == "crop" else min(ratios)
    if fit == "crop":
        x = _middle(x, math.ceil(height / scale), math.ceil(width / scale), scale)
    x = resized(x, *(max(1, round(side * scale)) for side in x.shape[-2:])).clamp(0, 1)
    # Negative padding crops.
    down, right = height - x.shape[-2], width - x.shape[-1]
    frame = (right // 2, right - right // 2, down // 2, down - down // 2)
    return F.pad(x, frame, value=1.0).movedim(1, -1)


def _middle(x: Tensor, height: int, width: int, scale: float) -> Tensor:
    """What of (..., H, W) is seen after resizing by ``scale``, and what the kernel reads beside it.

    Resized first, what sticks out of a long picture would take gigabytes.
    """
    beside = math.ceil(2 * max(1.0, 1 / scale)) + 1
    top, left = (
        max(0, (side - seen) // 2 - beside)
        for side, seen in zip(x.shape[-2:], (height, width), strict=True)
    )
    return x[..., top : x.shape[-2] - top, left : x.shape[-1] - left]


def on_white(image: Tensor) -> Tensor:
    """(B, H, W, 1, 3 or 4) to RGB; what is transparent becomes white."""
    if image.shape[-1] == 1:
        return image.expand(*image.shape[:-1], 3)
    if image.shape[-1] < 4:
        return image
    alpha = image[..., 3:4]
    return image[..., :3] * alpha + (1 - alpha)


def whitened(image: Tensor, transparency: Tensor) -> Tensor:
    """(B, H, W, 3) with white where a mask (b, h, w) is 1: the MASK of a picture's alpha.

    The host gives a mask of 64x64 zeros for a picture that has no alpha.
    """
    masks = resized(transparency.reshape(-1, *transparency.shape[-2:]), *image.shape[1:3])
    white = to_batch(masks.clamp(0, 1), image.shape[0]).to(image)[..., None]
    return on_white(image) * (1 - white) + white
