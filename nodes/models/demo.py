"""The node that gives the embedded models: something to sample with nothing downloaded."""

from __future__ import annotations

from comfy_api.latest import io

from ...ilvr_latent.embedded import LATENT_MODEL, PIXEL_MODEL
from ..node import Node
from .adm_model import adm_model
from .demo_text import NoPrompt, demo_clip
from .demo_unet import demo_unet
from .demo_vae import demo_vae
from .pixel_vae import pixel_vae

TEXT_TO_IMAGE = "text to image (latent)"
PIXELS = "pixels"


class ILVRLoadDemo(Node):
    """An embedded model as MODEL, CLIP and VAE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids, input names and options are a promise: workflows rely on them."""
        return io.Schema(
            node_id="ILVRLoadDemo",
            display_name="Load Demo Model",
            category="ILVR",
            description=(
                "A small model that comes with the pack, to try ILVR with nothing downloaded. It "
                "draws glossy emoji and is used like any checkpoint: prompts, samplers, LoRA "
                "loaders, previews."
            ),
            inputs=[
                io.Combo.Input(
                    "which",
                    options=[TEXT_TO_IMAGE, PIXELS],
                    default=TEXT_TO_IMAGE,
                    tooltip="The first draws what a prompt names, 128x128 pixels (Empty Latent "
                    "Image, cfg 3). 'pixels' draws any emoji, 64x64, without a prompt (Empty "
                    "Pixel Latent, ADM Class Label, cfg 1).",
                ),
            ],
            outputs=[
                io.Model.Output(tooltip="For ILVR Apply or the KSampler."),
                io.Clip.Output(
                    tooltip="For CLIP Text Encode: names of things, such as 'red apple'. "
                    "'pixels' takes no prompt."
                ),
                io.Vae.Output(tooltip="Between pictures and the latents of this model."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, which: str = TEXT_TO_IMAGE) -> io.NodeOutput:
        """Load the model.

        Raises:
            InputError: a file of the model is missing or damaged.
        """
        if which == PIXELS:
            return io.NodeOutput(adm_model(str(PIXEL_MODEL)), NoPrompt(), pixel_vae())
        return io.NodeOutput(
            demo_unet(LATENT_MODEL),
            demo_clip(LATENT_MODEL, getattr(cls.hidden, "unique_id", None)),
            demo_vae(LATENT_MODEL),
        )
