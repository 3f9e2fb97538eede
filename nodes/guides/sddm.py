"""The node that holds the block statistics of what a MODEL samples: SDDM's manifold."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import SDDM
from ...ilvr_latent.guides import feature_energy
from ..models.classifier import ClassifierType
from ..node import Node
from ..schema import fraction, schema
from .checks import check_mask, checked_samples
from .networks import NoisyClassifier, guided_with
from .widget_values import Expert, chosen_window


class ILVRBlockStatistics(Node):
    """Hold what a MODEL samples to the block statistics of a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRBlockStatistics",
            search_aliases=["SDDM", "AdaIN", "manifold", "image translation", "style"],
            display_name="ILVR Block Statistics (SDDM)",
            category="ILVR",
            description=(
                "Gives each block of the picture the mean and the contrast of the same block of a "
                "reference; what is in a block comes from the model and the prompt. No training, "
                "any sampler."
            ),
            inputs=_inputs(),
            outputs=[io.Model.Output(tooltip="The model, held to the reference's blocks.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        reference: dict[str, Any],
        blocks: int,
        start_percent: float,
        end_percent: float,
        deviations: bool,
        mask: Tensor | None = None,
        classifier: ModelPatcher | None = None,
        energy: float = 25.0,
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: the reference, the mask or a number cannot be used, or classifier and model
                do not fit.
        """
        check_mask(mask)
        samples, energies = checked_samples(model, reference, "reference"), []
        if classifier:
            features = NoisyClassifier(classifier, model).features
            energies.append(feature_energy(features, samples, blocks=None))
        guide = SDDM(
            samples,
            blocks=blocks,
            energies=energies,
            weight=energy,
            window=chosen_window(start_percent, end_percent, Expert()),
            deviations=deviations,
            mask=mask,
        )
        networks = [classifier] if classifier and energy else []
        node_id = getattr(cls.hidden, "unique_id", None)
        return io.NodeOutput(guided_with(model, guide, networks, node_id))


def _inputs() -> list[Any]:
    """In the order of the node: a workflow's values belong to places."""
    return [
        io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
        io.Latent.Input(
            "reference",
            tooltip=(
                "What the blocks are compared with, encoded with this model's VAE. Any size; it "
                "is resized to the sampled latent."
            ),
        ),
        io.Int.Input(
            "blocks",
            default=8,
            min=1,
            max=256,
            tooltip=(
                "How many blocks along each side. More follow the reference more closely, fewer "
                "leave more to the model; 1 keeps only the colours of the whole. The latent must "
                "divide into them."
            ),
        ),
        fraction(
            "start_percent",
            0.0,
            tooltip=(
                "When to begin, in timesteps as in other nodes: 0 = from the first step, the pure "
                "noise included (0.001 leaves that as it was drawn)."
            ),
        ),
        fraction(
            "end_percent",
            0.5,
            tooltip=(
                "When to stop. 0.5 is the paper's: the model finishes on its own. Later is closer "
                "to the reference, and the blocks may begin to show."
            ),
        ),
        io.Boolean.Input(
            "deviations",
            default=True,
            tooltip=(
                "Hold the contrast in each block too, as in the paper. Off, only the means are "
                "held: calmer, like ILVR Apply with the box kernel."
            ),
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Where to hold the blocks: white = yes. Elsewhere the model is free. Any size.",
        ),
        ClassifierType.Input(
            "classifier",
            optional=True,
            tooltip=(
                "From Load ADM Classifier, for pixel models: what it sees in the reference draws "
                "the picture, as far as the blocks leave it free."
            ),
        ),
        io.Float.Input(
            "energy",
            default=25.0,
            min=0.0,
            max=1000.0,
            step=0.5,
            optional=True,
            tooltip=(
                "How strongly the classifier draws: 0 = not at all, 25 = as in the paper, which "
                "takes the lesser of both directions."
            ),
        ),
    ]
