"""The node that follows a reference by one number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...ilvr_latent import ILVR, InputError, Reference, Run, defaults
from ...ilvr_latent.guides.ilvr import ILVRRun
from ...ilvr_latent.similarity import Dial, dial
from ..driver import guided
from ..node import Node
from ..schema import schema
from .checks import checked_samples


def similarity_input() -> Any:
    """The dial."""
    return io.Float.Input(
        "similarity",
        default=50.0,
        min=0.0,
        max=100.0,
        step=1.0,
        display_mode=io.NumberDisplay.slider,
        tooltip=(
            "How similar the picture becomes to the reference: 0 = not at all (the model alone), "
            "100 = the reference itself. Low takes its colours, the middle its shapes, high is "
            "nearly a copy. It means about the same on every model."
        ),
    )


def check_beside_similarity(
    varied: Sequence[str], of_apply: Sequence[str], mask: Tensor | None
) -> None:
    """Refuse what a similarity chooses, and what it has not.

    Args:
        varied: names of the axes of a grid.
        of_apply: names of the inputs of ILVR Apply.
        mask: of the reference.

    Raises:
        InputError: there is such.
    """
    if "similarity" not in varied:
        return
    chosen = set(of_apply).intersection(varied)
    if chosen:
        raise InputError(
            f"An axis varies similarity, which chooses factor, range and weight, so {min(chosen)} "
            "cannot vary beside it; let the other axis vary another setting."
        )
    if mask is not None:
        raise InputError("A similarity is of the whole picture; unplug the mask of ILVR Grid.")


class ILVRSimilarity(Node):
    """ILVR Apply, with factor, range and weight chosen by one number."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRSimilarity",
            search_aliases=["reference image", "img2img", "strength", "one dial", "likeness"],
            display_name="ILVR Similarity",
            category="ILVR",
            description=(
                "ILVR Apply with one dial: how similar the picture becomes to a reference. It "
                "chooses factor, range and weight, and says them when it runs."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model to sample from. It stays as it is."),
                io.Latent.Input(
                    "reference",
                    tooltip=(
                        "What the picture becomes similar to, encoded with this model's VAE. Any "
                        "size; it is resized to the sampled latent."
                    ),
                ),
                similarity_input(),
            ],
            outputs=[io.Model.Output(tooltip="The model, following the reference.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, reference: dict[str, Any], similarity: float
    ) -> io.NodeOutput:
        """Check everything that can be checked before sampling, and clone the MODEL.

        Raises:
            InputError: the reference or the number cannot be used.
        """
        guide = _Dialled(checked_samples(model, reference, "reference"), similarity)
        return io.NodeOutput(guided(model, guide, getattr(cls.hidden, "unique_id", None)))


class _Dialled(ILVR):
    """ILVR by a similarity, which goes by the size of what is sampled.

    Args:
        samples: the reference, a latent of any size.
        similarity: 0 to 100.

    Raises:
        InputError: it is no such number, or the latent cannot be used.
    """

    def __init__(self, samples: Tensor, similarity: float) -> None:
        super().__init__(_chosen(samples, dial(similarity)))
        self._samples, self._similarity = samples, similarity

    def begin(self, run: Run) -> ILVRRun | None:
        """Begin ILVR with what the similarity stands for at this size."""
        chosen = dial(self._similarity, run.cell, min(run.shape[-2:]))
        return ILVR(_chosen(self._samples, chosen)).begin(run)


def _chosen(samples: Tensor, at: Dial) -> Reference:
    return at.reference(samples, gate="level", noise=defaults.NOISE_OF_OTHER_SAMPLERS)
