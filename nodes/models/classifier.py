"""The node that loads a classifier of noisy pictures."""

from __future__ import annotations

from pathlib import Path

import comfy.model_management
import folder_paths
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ...ilvr_latent.adm import load_adm_classifier
from ...ilvr_latent.embedded import CLASSIFIER, CLASSIFIER_FLAGS
from ..node import Node
from ..schema import advanced, schema

ClassifierType = io.Custom("ILVR_CLASSIFIER")
EMBEDDED = "classifier64.safetensors (embedded)"

folder_paths.add_model_folder_path("adm", str(Path(folder_paths.models_dir) / "adm"))


class ILVRLoadClassifier(Node):
    """A guided-diffusion classifier checkpoint."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        names = [
            *folder_paths.get_filename_list("adm"),
            *folder_paths.get_filename_list("checkpoints"),
        ]
        return schema(
            node_id="ILVRLoadClassifier",
            search_aliases=["guided-diffusion", "classifier guidance", "noisy classifier"],
            display_name="Load ADM Classifier",
            category="ILVR",
            description=(
                "Loads a classifier of noisy pictures as OpenAI's guided-diffusion trains them "
                "(256x256_classifier.pt and the like), for ILVR Classifier Guidance."
            ),
            inputs=[
                io.Combo.Input(
                    "ckpt_name",
                    options=[EMBEDDED, *dict.fromkeys(names)],
                    tooltip="The embedded one tells eight groups of emoji apart, for the pixel "
                    "model of Load Demo Model. Your own (.pt or .safetensors) go into models/adm "
                    "or models/checkpoints; no code in them is run.",
                ),
                _number("num_head_channels", "Width of one attention head."),
                _number("image_size", "Side of the pictures that it was trained on."),
                _number("depth", "Residual blocks of each level."),
            ],
            outputs=[
                ClassifierType.Output(
                    display_name="classifier", tooltip="For ILVR Classifier Guidance."
                )
            ],
        )

    @classmethod
    def execute(
        cls, ckpt_name: str, num_head_channels: int = 0, image_size: int = 0, depth: int = 0
    ) -> io.NodeOutput:
        """Load the checkpoint.

        Raises:
            InputError: the file cannot be used, or flags are missing.
        """
        flags = {"num_head_channels": num_head_channels, "image_size": image_size, "depth": depth}
        given = {name: value for name, value in flags.items() if value}
        if ckpt_name == EMBEDDED:
            path, given = str(CLASSIFIER), {**CLASSIFIER_FLAGS, **given}
        else:
            path = folder_paths.get_full_path("adm", ckpt_name)
            path = path or folder_paths.get_full_path_or_raise("checkpoints", ckpt_name)
        offload = comfy.model_management.unet_offload_device()
        network = load_adm_classifier(path, device=offload, **given)
        device = comfy.model_management.get_torch_device()
        return io.NodeOutput(ModelPatcher(network, device, offload))


def _number(name: str, tooltip: str) -> io.Int.Input:
    given = io.Int.Input(
        name, default=0, min=0, max=4096, optional=True, tooltip=f"{tooltip} 0: as the file says."
    )
    return advanced(given)
