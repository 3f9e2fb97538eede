"""The node that translates a picture by EGSDE's energies."""

from __future__ import annotations

from typing import Any, get_args

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ...ilvr_latent import EGSDE
from ...ilvr_latent.guides.lowpass import Kernel
from ..models.classifier import ClassifierType
from ..node import Node
from ..schema import schema
from .checks import checked_samples
from .networks import NoisyClassifier, guided_with


class ILVREGSDE(Node):
    """Pull what a MODEL samples softly towards the layout of a source."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVREGSDE",
            search_aliases=["energy guidance", "SDEdit", "image to image", "image translation"],
            display_name="ILVR EGSDE",
            category="ILVR",
            description=(
                "Image to image that keeps to its source: begin from the encoded source with "
                "denoise below 1, and this pulls the coarse layout back to it, softly, while the "
                "model redraws it. No training, any sampler."
            ),
            inputs=_inputs(),
            outputs=[io.Model.Output(tooltip="The model, pulled towards the source.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        source: dict[str, Any],
        factor: float,
        faithful: float,
        kernel: Kernel = "linear",
        classifier: ModelPatcher | None = None,
        realism: float = 500.0,
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: the source or a number cannot be used, or classifier and model do not fit.
        """
        samples = checked_samples(model, source, "source")
        guide = EGSDE(
            samples,
            features=NoisyClassifier(classifier, model).features if classifier else None,
            realism=realism,
            faithful=faithful,
            factor=factor,
            kernel=kernel,
        )
        networks = [classifier] if classifier and realism else []
        node_id = getattr(cls.hidden, "unique_id", None)
        return io.NodeOutput(guided_with(model, guide, networks, node_id))


def _inputs() -> list[Any]:
    """In the order of the node: a workflow's values belong to places."""
    return [
        io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
        io.Latent.Input(
            "source",
            tooltip=(
                "The picture to translate, encoded with this model's VAE. Give the same latent to "
                "the sampler, with denoise below 1: 0.5 is the paper's."
            ),
        ),
        io.Float.Input(
            "factor",
            default=4.0,
            min=1.0,
            max=256.0,
            step=0.25,
            tooltip=(
                "How much is left to the model: detail smaller than this many latent cells (8 "
                "pixels each in most models). 2 keeps shapes, 4 the layout, 8 and more the colours."
            ),
        ),
        io.Float.Input(
            "faithful",
            default=2.0,
            min=0.0,
            max=100.0,
            step=0.05,
            tooltip=(
                "How strongly the layout is pulled back at each step: 0 = not at all (the picture "
                "is the same as without this node), 2 = as in the paper. With few steps the node "
                "says when it is too much."
            ),
        ),
        io.Combo.Input(
            "kernel",
            options=list(get_args(Kernel)),
            default="linear",
            optional=True,
            tooltip="Shape of the low-pass filter. linear is the authors'.",
        ),
        ClassifierType.Input(
            "classifier",
            optional=True,
            tooltip=(
                "From Load ADM Classifier, for pixel models: what it sees in the source, the "
                "picture is pushed away from, so that it looks less like a drawing, say, and more "
                "like what the model knows. Without one, only the layout is held."
            ),
        ),
        io.Float.Input(
            "realism",
            default=500.0,
            min=0.0,
            max=100000.0,
            step=10.0,
            optional=True,
            tooltip="How strongly the classifier pushes: 0 = not at all, 500 = as in the paper.",
        ),
    ]
