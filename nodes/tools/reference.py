"""Nodes that prepare a reference and show what of it the model is held to."""

from __future__ import annotations

import logging
from typing import Any, get_args

import comfy.sd
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ...ilvr_latent.guides.lowpass import Kernel, LowPass
from ...ilvr_latent.pictures.images import Fit
from ..fitting import fit_image, on_white, whitened
from ..node import Node
from ..schema import schema

logger = logging.getLogger(__name__)


class ILVRReferenceEncode(Node):
    """A picture to the latent that ILVR Apply takes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRReferenceEncode",
            search_aliases=["reference image", "vae encode", "resize to latent"],
            display_name="ILVR Reference (VAE Encode)",
            category="ILVR",
            description="Brings a picture to the size that is sampled and encodes it.",
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The picture whose layout and colours are wanted. What is "
                    "transparent becomes white.",
                ),
                io.Vae.Input("vae", tooltip="The VAE that belongs to the sampled model."),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The latent that goes into the sampler: the picture takes its size. "
                    "Without it, the picture keeps its own.",
                ),
                io.Combo.Input(
                    "fit",
                    options=list(get_args(Fit)),
                    default="crop",
                    optional=True,
                    tooltip="If the aspect differs: crop cuts what sticks out, pad shows "
                    "everything on white, stretch distorts.",
                ),
                io.Mask.Input(
                    "transparency",
                    optional=True,
                    tooltip="The MASK of Load Image, which takes transparency out of the "
                    "picture: where it is white, the reference becomes white.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="reference", tooltip="For ILVR Apply."),
                io.Image.Output(display_name="image", tooltip="The picture as it was encoded."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        vae: Any,
        latent: dict[str, Any] | None = None,
        fit: Fit = "crop",
        transparency: Tensor | None = None,
    ) -> io.NodeOutput:
        """Fit and encode.

        Raises:
            InputError: the picture is empty or not finite, or a choice is unknown.
        """
        pixels = on_white(image) if transparency is None else whitened(image, transparency)
        if latent is not None:
            cell = vae.spacial_compression_encode()
            height, width = (side * cell for side in latent["samples"].shape[-2:])
            pixels = fit_image(pixels, width, height, fit)
        frames = latent is None or _frames(latent["samples"]) > 1
        if frames or getattr(vae, "latent_dim", 2) < 3:
            return io.NodeOutput({"samples": _encode(vae, pixels)}, pixels)
        # The VAE of a video model takes a batch for the frames of one video.
        latents = [_encode(vae, picture[None]) for picture in pixels]
        return io.NodeOutput({"samples": torch.cat(latents)}, pixels)


def _frames(samples: Tensor) -> int:
    return samples.shape[2] if samples.ndim == 5 else 1


def _encode(vae: Any, pixels: Tensor) -> Tensor:
    """The latent, once more in fp32 where half precision overflows."""
    samples: Tensor = vae.encode(pixels)
    if bool(torch.isfinite(samples).all()) or vae.vae_dtype == torch.float32:
        return samples
    logger.warning("The VAE gave NaN in %s; the reference is encoded in fp32.", vae.vae_dtype)
    wide = comfy.sd.VAE(sd=vae.get_sd(), dtype=torch.float32)
    return wide.encode(pixels)


class ILVRLowPassPreview(Node):
    """The low frequencies of a picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRLowPassPreview",
            search_aliases=["blur", "low frequencies", "downsample"],
            display_name="ILVR Low-Pass Preview",
            category="ILVR",
            description="Shows what of a reference the model will be held to.",
            inputs=[
                io.Image.Input("image", tooltip="The reference, at the size that is sampled."),
                io.Float.Input(
                    "factor",
                    default=32.0,
                    min=1.0,
                    max=2048.0,
                    step=0.25,
                    tooltip="Detail smaller than this many pixels is removed: the factor of "
                    "ILVR Apply times the pixels of a latent cell (8 in most models, 1 in pixel "
                    "models).",
                ),
                io.Combo.Input(
                    "kernel",
                    options=list(get_args(Kernel)),
                    default="cubic",
                    optional=True,
                    tooltip="The same as in ILVR Apply.",
                ),
            ],
            outputs=[io.Image.Output(tooltip="The low frequencies.")],
            is_output_node=True,  # it shows them
        )

    @classmethod
    def execute(cls, image: Tensor, factor: float, kernel: Kernel = "cubic") -> io.NodeOutput:
        """phi_N of each picture.

        Raises:
            InputError: the factor is below 1.
        """
        low = LowPass(factor, kernel)(on_white(image).movedim(-1, 1))
        shown = low.clamp(0, 1).movedim(1, -1)
        return io.NodeOutput(shown, ui=ui.PreviewImage(shown, cls=cls))
