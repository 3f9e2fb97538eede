"""The node that guides a MODEL by a classifier."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ...ilvr_latent import InputError
from ...ilvr_latent.guides import ClassifierGuidance
from ..models.classifier import ClassifierType
from ..node import Node
from ..schema import schema
from .networks import NoisyClassifier, guided_with


class ILVRClassifierGuidance(Node):
    """Lead what a MODEL samples towards a class of a classifier."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRClassifierGuidance",
            search_aliases=["ADM-G", "guided-diffusion", "class label", "classifier"],
            display_name="ILVR Classifier Guidance",
            category="ILVR",
            description=(
                "Leads the picture towards a class, by the gradient of a classifier of noisy "
                "pictures. The model itself need not know classes."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
                ClassifierType.Input(
                    "classifier",
                    tooltip="From Load ADM Classifier; trained on the model's own noise.",
                ),
                io.Int.Input(
                    "class_label",
                    default=0,
                    min=0,
                    max=100000,
                    tooltip="What to draw, as a number of the data set that the classifier was "
                    "trained on (ImageNet: 0 to 999). The embedded one: 0 smileys, 1 people, "
                    "2 animals and nature, 3 food, 4 travel, 5 activities, 6 objects, 7 symbols.",
                ),
                io.Float.Input(
                    "scale",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="How strongly. 0 = not at all, 1 = as the classifier says, more = "
                    "clearer and less varied. Models without classes take up to 10.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="The model, led towards the class.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, classifier: ModelPatcher, class_label: int, scale: float
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: classifier and model do not fit, or there is no such class.
        """
        network = NoisyClassifier(classifier, model)
        if not 0 <= class_label < network.config.num_classes:
            raise InputError(
                f"The class label is {class_label}; this classifier has 0 to "
                f"{network.config.num_classes - 1}."
            )
        guide = ClassifierGuidance(network, class_label, scale=scale)
        node_id = getattr(cls.hidden, "unique_id", None)
        return io.NodeOutput(guided_with(model, guide, [classifier], node_id))
