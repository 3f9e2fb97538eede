"""The forward process, the samplers, and the shape that every method of guidance has."""

from .cold import (
    BlurDegradation,
    FilterDegradation,
    GaussianDegradation,
    MaskDegradation,
    cold_sample,
)
from .denoiser import Denoiser, DenoiserConfig
from .gradients import gradient, ordinary, ordinary_weights
from .guide import Guide, GuideRun, Guides, Run
from .langevin import annealed_langevin
from .loop import Start, sample_with
from .loops import LOOPS
from .multistep import DampedUniPC, DPMSolverPP2M, UniPC
from .network_cold import sample_cold
from .network_flow import encode_flow, sample_flow
from .noise import (
    CorrectorNoise,
    DivisibleNoise,
    JumpNoise,
    NoiseSource,
    RecordedNoise,
    RepeatNoise,
    SeededNoise,
)
from .predictor_corrector import PredictorCorrector, sample_pc
from .probability_flow import encode_ode, sample_ode
from .resampling import Resampling
from .samplers import DDIM, DDPM, SAMPLERS, Sampler
from .schedule import Schedule, Step
from .side_by_side import SideBySide
from .tiles import TiledDenoiser, Tiles

__all__ = [
    "DDIM",
    "DDPM",
    "LOOPS",
    "SAMPLERS",
    "BlurDegradation",
    "CorrectorNoise",
    "DPMSolverPP2M",
    "DampedUniPC",
    "Denoiser",
    "DenoiserConfig",
    "DivisibleNoise",
    "FilterDegradation",
    "GaussianDegradation",
    "Guide",
    "GuideRun",
    "Guides",
    "JumpNoise",
    "MaskDegradation",
    "NoiseSource",
    "PredictorCorrector",
    "RecordedNoise",
    "RepeatNoise",
    "Resampling",
    "Run",
    "Sampler",
    "Schedule",
    "SeededNoise",
    "SideBySide",
    "Start",
    "Step",
    "TiledDenoiser",
    "Tiles",
    "UniPC",
    "annealed_langevin",
    "cold_sample",
    "encode_flow",
    "encode_ode",
    "gradient",
    "ordinary",
    "ordinary_weights",
    "sample_cold",
    "sample_flow",
    "sample_ode",
    "sample_pc",
    "sample_with",
]
