"""Nodes that make guided-diffusion checkpoints ordinary ComfyUI models in pixel space."""

from __future__ import annotations

from pathlib import Path

import comfy.model_management
import folder_paths
import torch
from comfy_api.latest import io

from ...ilvr_latent.embedded import PIXEL_MODEL
from ..node import Node
from ..schema import schema
from .adm_model import CLASS_LABEL, adm_model
from .pixel_vae import pixel_vae

EMBEDDED = "emoji64.safetensors (embedded)"
AUTO = "auto"

folder_paths.add_model_folder_path("adm", str(Path(folder_paths.models_dir) / "adm"))


class ILVRLoadADM(Node):
    """A guided-diffusion checkpoint as MODEL and VAE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        names = [
            *folder_paths.get_filename_list("adm"),
            *folder_paths.get_filename_list("checkpoints"),
        ]
        return schema(
            node_id="ILVRLoadADM",
            search_aliases=["guided-diffusion", "checkpoint loader", "pixel model", "OpenAI"],
            display_name="Load ADM Checkpoint",
            category="ILVR",
            description=(
                "Loads an OpenAI guided-diffusion (ADM) checkpoint, such as those published with "
                "the ILVR paper, for the ordinary KSampler. It works on pixels: one latent cell "
                "is one pixel."
            ),
            inputs=[
                io.Combo.Input(
                    "ckpt_name",
                    options=[EMBEDDED, *dict.fromkeys(names)],
                    tooltip="The embedded one draws glossy emoji of 64x64 pixels. Your own go "
                    "into models/adm or models/checkpoints (.pt or .safetensors).",
                ),
                _flag(
                    "noise_schedule",
                    ["linear", "cosine"],
                    "How the model was trained to see "
                    "noise; a wrong one gives grey or noisy pictures.",
                ),
                _flag(
                    "prediction_type",
                    ["epsilon", "sample", "v_prediction"],
                    "What the network was trained to give.",
                ),
                _flag(
                    "use_new_attention_order",
                    ["false", "true"],
                    "Order of the attention weights; a wrong one gives noise.",
                ),
                _number("num_heads", "Number of attention heads; a wrong one gives noise."),
                _number(
                    "num_head_channels", "Width of one attention head, in place of their number."
                ),
                _number("image_size", "Side of the pictures that the model was trained on."),
            ],
            outputs=[
                io.Model.Output(
                    tooltip="Samples pixels; its estimate is clamped to the range of "
                    "a picture at each step."
                ),
                io.Vae.Output(tooltip="Pixels to pixels, for the nodes that want a VAE."),
            ],
        )

    @classmethod
    def execute(
        cls,
        ckpt_name: str,
        noise_schedule: str = AUTO,
        prediction_type: str = AUTO,
        use_new_attention_order: str = AUTO,
        num_heads: int = 0,
        num_head_channels: int = 0,
        image_size: int = 0,
    ) -> io.NodeOutput:
        """Load the checkpoint.

        Raises:
            InputError: the file cannot be used, or flags are missing; as on the command line.
        """
        flags = {
            "noise_schedule": noise_schedule,
            "prediction_type": prediction_type,
            "use_new_attention_order": use_new_attention_order,
            "num_heads": num_heads,
            "num_head_channels": num_head_channels,
            "image_size": image_size,
        }
        given = {name: value for name, value in flags.items() if value not in (AUTO, 0)}
        return io.NodeOutput(adm_model(_path(ckpt_name), **given), pixel_vae())


def _flag(name: str, options: list[str], tooltip: str) -> io.Combo.Input:
    return io.Combo.Input(
        name, options=[AUTO, *options], default=AUTO, optional=True,
        tooltip=f"{tooltip} auto: as the file or the table of known checkpoints says.",
    )  # fmt: skip


def _number(name: str, tooltip: str) -> io.Int.Input:
    return io.Int.Input(
        name, default=0, min=0, max=2048, optional=True,
        tooltip=f"{tooltip} 0: as the file or the table of known checkpoints says.",
    )  # fmt: skip


def _path(ckpt_name: str) -> str:
    if ckpt_name == EMBEDDED:
        return str(PIXEL_MODEL)
    found = folder_paths.get_full_path("adm", ckpt_name)
    return found or folder_paths.get_full_path_or_raise("checkpoints", ckpt_name)


class ILVRADMConditioning(Node):
    """A class label where ComfyUI expects a prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRADMConditioning",
            search_aliases=["class label", "ImageNet class", "guided-diffusion"],
            display_name="ADM Class Label",
            category="ILVR",
            description="What an ADM model takes in place of a prompt: a class, or nothing.",
            inputs=[
                io.Int.Input(
                    "class_label",
                    default=-1,
                    min=-1,
                    max=100000,
                    tooltip="What to draw, as a number of the data set the model was trained on "
                    "(ImageNet: 0 to 999). -1 for models without classes, like the embedded one.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="For the KSampler."),
                io.Conditioning.Output(
                    display_name="negative",
                    tooltip="The same label: these models know no 'anything but'. Use cfg 1.",
                ),
            ],
        )

    @classmethod
    def execute(cls, class_label: int) -> io.NodeOutput:
        """The label under a key that only our model reads."""
        label = None if class_label < 0 else class_label
        # Samplers and other nodes look for a text embedding; the network has no use for it.
        conditioning = [[torch.zeros(1, 1, 1), {CLASS_LABEL: label}]]
        return io.NodeOutput(conditioning, conditioning)


class ILVREmptyPixels(Node):
    """An empty latent whose cells are pixels."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVREmptyPixels",
            search_aliases=["empty latent", "pixel space"],
            display_name="Empty Pixel Latent",
            category="ILVR",
            description="An empty latent for pixel models: as many cells as pixels.",
            inputs=[
                io.Int.Input(
                    "width",
                    default=64,
                    min=8,
                    max=4096,
                    step=8,
                    tooltip="Width of the picture in pixels.",
                ),
                io.Int.Input(
                    "height",
                    default=64,
                    min=8,
                    max=4096,
                    step=8,
                    tooltip="Height of the picture in pixels.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=4096,
                    tooltip="How many pictures to make at once.",
                ),
            ],
            outputs=[io.Latent.Output(tooltip="For the KSampler.")],
        )

    @classmethod
    def execute(cls, width: int, height: int, batch_size: int) -> io.NodeOutput:
        """Zeros (batch, 3, height, width)."""
        device = comfy.model_management.intermediate_device()
        return io.NodeOutput({"samples": torch.zeros(batch_size, 3, height, width, device=device)})
