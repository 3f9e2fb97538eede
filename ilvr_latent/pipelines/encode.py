"""Reference pictures to latents, in the space that a pipeline samples in."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..pictures.images import Fit, as_rgb, fit_to, to_images, to_tensor

logger = logging.getLogger(__name__)


def encode_reference(
    pipe: Any,
    image: Image.Image | Tensor,
    *,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
) -> Tensor:
    """A picture as a latent, with the pipeline's own VAE, scale and shift.

    The mode of the VAE's posterior is taken, so the same picture gives the same latent. Where the
    VAE overflows in half precision, it is run again in fp32.

    Args:
        pipe: the pipeline; its VAE is put back to its precision if that was changed.
        image: a PIL picture, or (B, 3, H, W) in [-1, 1].
        size: height and width in pixels that will be generated; by default those that the pipeline
            generates when it is not told, or the tensor's own.
        fit: how a picture of another size fills the frame: ``crop``, ``pad`` or ``stretch``.

    Returns:
        (B, C, h, w) fp32 on the VAE's device, also for pipelines that sample packed latents or
        videos.

    Raises:
        InputError: the pipeline has no VAE for pictures, the size is not one that it can sample, or
            the latent is not finite even in fp32.
    """
    vae = _image_vae(pipe)
    if size is None and isinstance(image, Tensor):
        size = int(image.shape[-2]), int(image.shape[-1])
    height, width = size or default_size(pipe)
    cell = pixels_per_cell(pipe)
    if height % cell or width % cell or min(height, width) < cell:
        fitting = " x ".join(str(max(cell, round(side / cell) * cell)) for side in (height, width))
        raise InputError(
            f"The size is {height} x {width}, but {type(pipe).__name__} samples multiples of "
            f"{cell} pixels; use {fitting}."
        )
    pixels = _fitted(image, (width, height), fit)
    device = getattr(pipe, "_execution_device", vae.device)
    latent = _encoded(vae, pixels.to(device))
    return _in_sampling_space(pipe, latent.float())


def default_size(pipe: Any) -> tuple[int, int]:
    """Height and width in pixels that a pipeline generates when it is not told.

    Raises:
        InputError: the pipeline does not say.
    """
    parameters = inspect.signature(type(pipe).__call__).parameters
    told = [parameters[name].default for name in ("height", "width") if name in parameters]
    if len(told) == 2 and all(isinstance(side, int) for side in told):
        return told[0], told[1]
    network = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    cells = getattr(pipe, "default_sample_size", None)
    if cells is None and network is not None:
        cells = network.config.get("sample_size")
    if cells is None:
        raise InputError(
            f"{type(pipe).__name__} does not say which size it generates; "
            "give size=(height, width)."
        )
    sides = (cells, cells) if isinstance(cells, int) else tuple(cells)[-2:]
    return int(sides[0]) * _vae_factor(pipe), int(sides[1]) * _vae_factor(pipe)


def pixels_per_cell(pipe: Any) -> int:
    """What height and width must be multiples of."""
    # Flux and its kin pack 2x2 cells; video VAEs that shrink by 32 do not.
    packs = hasattr(pipe, "_pack_latents") and _vae_factor(pipe) <= 16
    patch = 2 if packs else getattr(pipe, "patch_size", 1)
    return _vae_factor(pipe) * (patch if isinstance(patch, int) else 1)


def _vae_factor(pipe: Any) -> int:
    names = ("vae_scale_factor_spatial", "vae_spatial_compression_ratio", "vae_scale_factor")
    factors = [getattr(pipe, name) for name in names if hasattr(pipe, name)]
    return int(factors[0]) if factors else 8


def _image_vae(pipe: Any) -> Any:
    vae: Any = getattr(pipe, "vae", None) or getattr(pipe, "movq", None)
    channels = None if vae is None else vae.config.get("in_channels", 3)
    if channels != 3 or "audio_channels" in vae.config:
        what = "no VAE" if vae is None else f"a {type(vae).__name__}, which is not for pictures"
        raise InputError(
            f"{type(pipe).__name__} has {what}, so it has no picture latents; use a latent "
            "diffusion pipeline such as StableDiffusionPipeline."
        )
    return vae


def _fitted(image: Image.Image | Tensor, size: tuple[int, int], fit: Fit) -> Tensor:
    if isinstance(image, Image.Image):
        return to_tensor(fit_to(as_rgb(image), size, fit))
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
        raise InputError(
            f"The picture is {image.dtype} of shape {tuple(image.shape)}; use a floating-point "
            "tensor of shape (B, 3, H, W) in [-1, 1], or a PIL picture."
        )
    if tuple(image.shape[-2:]) == (size[1], size[0]):
        return image
    return torch.cat([to_tensor(fit_to(one, size, fit)) for one in to_images(image)])


@torch.no_grad()
def _encoded(vae: Any, pixels: Tensor) -> Tensor:
    """The raw latent; in fp32 where half precision is known to overflow, or does."""
    dtype = vae.dtype
    half = dtype in (torch.float16, torch.bfloat16)
    if not (half and vae.config.get("force_upcast", False)):
        latent = _mode(vae, pixels.to(dtype))
        if bool(torch.isfinite(latent).all()):
            return latent
        if half:
            logger.warning("The VAE overflows in %s; encoding the reference in fp32.", dtype)
    if half:
        try:
            latent = _mode(vae.to(torch.float32), pixels.float())
        finally:
            vae.to(dtype)
    if not bool(torch.isfinite(latent).all()):
        raise InputError(
            "The VAE made NaN or infinite values of the reference; use another VAE, or check that "
            "its weights are whole."
        )
    return latent


def _mode(vae: Any, pixels: Tensor) -> Tensor:
    """The most likely latent (B, C, h, w); a video VAE is shown one frame."""
    # Video VAEs convolve over time in their encoder.
    video = any(weight.ndim == 5 for weight in vae.encoder.parameters())
    encoded = vae.encode(pixels.unsqueeze(2) if video else pixels)
    if hasattr(encoded, "latent_dist"):
        latent: Tensor = encoded.latent_dist.mode()
    else:
        latent = encoded.latents if hasattr(encoded, "latents") else encoded.latent
    return latent[:, :, 0] if latent.ndim == 5 else latent


def _in_sampling_space(pipe: Any, latent: Tensor) -> Tensor:
    vae = _image_vae(pipe)
    if hasattr(vae, "bn") and hasattr(pipe, "_patchify_latents"):
        return _batch_normalised(vae, latent)
    mean, std = (_of_channels(vae, name, latent) for name in ("latents_mean", "latents_std"))
    # UNet pipelines know no shift, whatever the VAE (AutoencoderTiny has one) says.
    shift = None if hasattr(pipe, "unet") else vae.config.get("shift_factor")
    if mean is not None and std is not None:
        latent = (latent - mean) / std
    elif shift is not None:
        latent = latent - shift
    scale = vae.config.get("scaling_factor")
    return latent if scale is None else latent * scale


def _of_channels(vae: Any, name: str, latent: Tensor) -> Tensor | None:
    """Numbers for each channel, from the VAE's configuration or its buffers."""
    found = vae.config.get(name)
    if found is None:
        found = dict(vae.named_buffers(recurse=False)).get(name)
    return None if found is None else torch.as_tensor(found).to(latent).view(1, -1, 1, 1)


def _batch_normalised(vae: Any, latent: Tensor) -> Tensor:
    """Flux 2: 2x2 cells become channels, which running statistics normalise."""
    latent = rearrange(latent, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2)
    mean, variance = vae.bn.running_mean.to(latent), vae.bn.running_var.to(latent)
    deviation = (variance + vae.config.batch_norm_eps).sqrt()
    normalised: Tensor = (latent - mean.view(1, -1, 1, 1)) / deviation.view(1, -1, 1, 1)
    return normalised
