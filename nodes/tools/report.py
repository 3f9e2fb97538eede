"""Nodes that show what ILVR did in a run of the sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from ...ilvr_latent import ILVR, Guide, InputError, Recorder, Recording, Run
from ...ilvr_latent.pictures.recording_plot import figure
from ..driver import guides_of, watched
from ..node import Node
from ..run import HostRun
from ..schema import schema
from .tape import Tape

RecordingType = io.Custom("ILVR_RECORDING")


def to_image(picture: Image.Image) -> Tensor:
    """An RGB picture as the host's IMAGE, (1, H, W, 3) in [0, 1]."""
    return torch.from_numpy(np.array(picture)).float()[None] / 255


class ILVRRecord(Node):
    """A MODEL whose sampling is written down."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRRecord",
            search_aliases=["inspect", "debug", "residual"],
            display_name="ILVR Record",
            category="ILVR",
            description=(
                "Notes what ILVR does while a sampler runs, for ILVR Report. The picture stays "
                "the same, bit for bit."
            ),
            inputs=[io.Model.Input("model", tooltip="The model, after ILVR Apply.")],
            outputs=[
                io.Model.Output(tooltip="For the sampler."),
                RecordingType.Output(display_name="recording", tooltip="For ILVR Report."),
            ],
        )

    @classmethod
    def execute(cls, model: ModelPatcher) -> io.NodeOutput:
        """A clone of the MODEL, and the tape that its runs are written on.

        Raises:
            InputError: the MODEL has no reference.
        """
        references = [
            reference
            for guide in guides_of(model)
            if isinstance(guide, ILVR)
            for reference in guide.references
        ]
        if not references:
            raise InputError(
                "This MODEL has no reference to compare with; put ILVR Apply before ILVR Record "
                "(its weight may be 0)."
            )
        tape = Tape()

        def keep(recording: Recording, result: Tensor, run: Run) -> None:
            assert isinstance(run, HostRun)
            tape.add(run.model.process_latent_out(result.float()), recording)

        def watch(guide: Guide) -> Guide:
            return Recorder(guide, references[0], keep)

        return io.NodeOutput(watched(model, watch), tape)


class ILVRReport(Node):
    """A recording as two plots."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRReport",
            search_aliases=["inspect", "plot", "residual", "spectrum"],
            display_name="ILVR Report",
            category="ILVR",
            description=(
                "Shows what ILVR did in a run of the sampler: how far each step was from the "
                "reference, which steps were matched, and how the power is spread from coarse to "
                "fine."
            ),
            inputs=[
                RecordingType.Input("recording", tooltip="From ILVR Record."),
                io.Latent.Input(
                    "samples",
                    tooltip="What the sampler made with the MODEL of ILVR Record, as it is.",
                ),
                RecordingType.Input(
                    "other_recording",
                    optional=True,
                    tooltip="To compare with: from an ILVR Record whose ILVR Apply has weight 0, "
                    "say. May be the same one.",
                ),
                io.Latent.Input(
                    "other_samples",
                    optional=True,
                    tooltip="What the sampler made in the other run.",
                ),
            ],
            outputs=[io.Image.Output(tooltip="The plots.")],
        )

    @classmethod
    def execute(
        cls,
        recording: Tape,
        samples: dict[str, Any],
        other_recording: Tape | None = None,
        other_samples: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        """Find the run that made the samples, and draw it.

        Raises:
            InputError: there is no such run, or the other one is half given.
        """
        run, other = _found(recording, samples["samples"]), None
        if (other_recording is None) != (other_samples is None):
            missing = "other_samples" if other_samples is None else "other_recording"
            raise InputError(f"To compare with another run, plug in {missing} too.")
        if other_recording is not None and other_samples is not None:
            other = _found(other_recording, other_samples["samples"])
        return io.NodeOutput(to_image(figure(run, other, unit="latent cell")))


def _found(tape: Tape, samples: Tensor) -> Any:
    recording = tape.find(samples)
    if recording is None:
        raise InputError(
            "No recorded run made these samples; plug in the LATENT of a sampler that has the "
            "MODEL of ILVR Record and finishes the picture, and run it again with another seed."
        )
    return recording
