"""The forward process, the samplers, and the shape that every method of guidance has."""

from .denoiser import Denoiser, DenoiserConfig
from .gradients import gradient, ordinary, ordinary_weights
from .guide import Guide, GuideRun, Guides, Run
from .loop import Start, sample_with
from .noise import JumpNoise, NoiseSource, RecordedNoise, RepeatNoise, SeededNoise
from .resampling import Resampling
from .samplers import DDIM, DDPM, SAMPLERS, Sampler
from .schedule import Schedule, Step

__all__ = [
    "DDIM",
    "DDPM",
    "SAMPLERS",
    "Denoiser",
    "DenoiserConfig",
    "Guide",
    "GuideRun",
    "Guides",
    "JumpNoise",
    "NoiseSource",
    "RecordedNoise",
    "RepeatNoise",
    "Resampling",
    "Run",
    "Sampler",
    "Schedule",
    "SeededNoise",
    "Start",
    "Step",
    "gradient",
    "ordinary",
    "ordinary_weights",
    "sample_with",
]
