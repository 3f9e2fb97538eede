"""ILVR: reference-guided diffusion without training (arXiv 2108.02938).

>>> from ilvr_latent import Reference, Window, load_embedded, sample
>>> model = load_embedded()
>>> picture = sample(model, Reference(image, factor=4, window=Window(0, 0.8)), steps="50")
"""

from .adm import ADMConfig, inspect_checkpoint, load_adm, save_adm
from .diffusion.guide import Guide, GuideRun
from .diffusion.noise import JumpNoise, NoiseSource, RecordedNoise, SeededNoise
from .diffusion.resampling import Resampling
from .diffusion.sampling import sample_with
from .diffusion.schedule import Schedule, Step
from .embedded import load_embedded
from .errors import InputError
from .guides.ilvr import ILVR
from .guides.lowpass import LowPass, match
from .guides.recorder import Recorder, Recording
from .guides.reference import Reference
from .guides.weight import WeightSchedule
from .guides.window import Window
from .recipes import RECIPES, Recipe, apply_recipe, vary_factor, vary_range
from .sampling import sample

__version__ = "0.1.0"

__all__ = [
    "ILVR",
    "RECIPES",
    "ADMConfig",
    "Guide",
    "GuideRun",
    "InputError",
    "JumpNoise",
    "LowPass",
    "NoiseSource",
    "Recipe",
    "RecordedNoise",
    "Recorder",
    "Recording",
    "Reference",
    "Resampling",
    "Schedule",
    "SeededNoise",
    "Step",
    "WeightSchedule",
    "Window",
    "apply_recipe",
    "inspect_checkpoint",
    "load_adm",
    "load_embedded",
    "match",
    "sample",
    "sample_with",
    "save_adm",
    "vary_factor",
    "vary_range",
]
