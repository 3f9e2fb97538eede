"""Predictor-corrector, the probability flow and cold diffusion as SAMPLER, for any model."""

from __future__ import annotations

import comfy.samplers
from comfy_api.latest import io

from ...ilvr_latent.diffusion.dormand_prince import check_tolerance
from ...ilvr_latent.diffusion.predictor_corrector import PREDICTORS, SNR, PredictorCorrector
from ..node import Node
from ..schema import schema
from .score_sampling import cold, predictor_corrector, probability_flow

FOR_SAMPLER_CUSTOM = "For SamplerCustom or SamplerCustomAdvanced."
ALGORITHMS, NOISES = ("2", "1"), ("implied", "fixed")


class ILVRPredictorCorrectorSampler(Node):
    """The sampler of Score SDE with noise."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRPredictorCorrectorSampler",
            search_aliases=["Score SDE", "Langevin", "reverse diffusion", "PC sampler"],
            display_name="Predictor-Corrector Sampler",
            category="ILVR",
            description=(
                "Score SDE's sampler: at each noise level Langevin moves put right what the last "
                "step got wrong, then a predictor goes on. Wants 50 steps or more."
            ),
            inputs=[
                io.Combo.Input(
                    "predictor",
                    options=list(PREDICTORS),
                    default="ancestral",
                    tooltip="How to get to the next noise level. ancestral bears the fewest "
                    "steps; reverse_diffusion is the paper's; none leaves it all to the moves.",
                ),
                io.Int.Input(
                    "corrector_steps",
                    default=1,
                    min=0,
                    max=100,
                    tooltip="Langevin moves at each noise level. Each costs one more network "
                    "call for every step; 0 is without.",
                ),
                io.Float.Input(
                    "snr",
                    default=SNR,
                    min=0.001,
                    max=1.0,
                    step=0.01,
                    tooltip="How far a move goes. Too much leaves noise in the picture, too "
                    "little changes nothing.",
                ),
            ],
            outputs=[io.Sampler.Output(tooltip=FOR_SAMPLER_CUSTOM)],
        )

    @classmethod
    def execute(cls, predictor: str, corrector_steps: int, snr: float) -> io.NodeOutput:
        """The settings around the sampler.

        Raises:
            InputError: a setting is outside its range.
        """
        moves = PredictorCorrector(predictor, snr, corrector_steps)  # type: ignore[arg-type]
        return io.NodeOutput(comfy.samplers.KSAMPLER(predictor_corrector(moves)))


class ILVRProbabilityFlowSampler(Node):
    """The sampler of Score SDE without noise."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRProbabilityFlowSampler",
            search_aliases=["Score SDE", "ODE", "RK45", "Dormand-Prince", "inversion", "encode"],
            display_name="Probability Flow Sampler (ODE)",
            category="ILVR",
            description=(
                "Follows the flow without noise by Runge-Kutta steps of order five, six network "
                "calls for each: 8 steps are plenty. With flipped SIGMAS it turns a picture into "
                "the noise that it comes from."
            ),
            inputs=[
                io.Float.Input(
                    "tolerance",
                    default=0.0,
                    min=0.0,
                    max=0.1,
                    step=0.00001,
                    round=0.0000001,
                    tooltip="Error that a step may make; steps are divided until it is kept. The "
                    "paper's is 0.00001. 0 takes each step as it is.",
                ),
            ],
            outputs=[io.Sampler.Output(tooltip=FOR_SAMPLER_CUSTOM)],
        )

    @classmethod
    def execute(cls, tolerance: float) -> io.NodeOutput:
        """The setting around the sampler.

        Raises:
            InputError: it is below 0.
        """
        chosen = tolerance if tolerance else None
        check_tolerance(chosen)
        return io.NodeOutput(comfy.samplers.KSAMPLER(probability_flow(chosen)))


class ILVRColdSampler(Node):
    """The sampler of Cold Diffusion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRColdSampler",
            search_aliases=["Cold Diffusion", "deterministic", "ddim"],
            display_name="Cold Diffusion Sampler",
            category="ILVR",
            description=(
                "Takes noise away as Cold Diffusion takes away any degradation: guess the "
                "picture, degrade the guess a little less, go on. No new noise is drawn."
            ),
            inputs=[
                io.Combo.Input(
                    "algorithm",
                    options=list(ALGORITHMS),
                    default="2",
                    tooltip="2 is the paper's, which forgives wrong guesses; 1 degrades each "
                    "guess anew. They only differ with fixed noise.",
                ),
                io.Combo.Input(
                    "noise",
                    options=list(NOISES),
                    default="implied",
                    tooltip="What a guess is degraded with. implied: what the model takes for "
                    "noise, which makes it ddim. fixed: the first noise throughout.",
                ),
            ],
            outputs=[io.Sampler.Output(tooltip=FOR_SAMPLER_CUSTOM)],
        )

    @classmethod
    def execute(cls, algorithm: str, noise: str) -> io.NodeOutput:
        """The settings around the sampler.

        Raises:
            InputError: there is no such choice.
        """
        function = cold(1 if algorithm == "1" else 2, fixed_noise=noise == "fixed")
        return io.NodeOutput(comfy.samplers.KSAMPLER(function))
