"""ILVR: reference-guided diffusion without training (arXiv 2108.02938).

>>> from ilvr_latent import Reference, Window, load_embedded, sample
>>> model = load_embedded()
>>> picture = sample(model, Reference(image, factor=4, window=Window(0, 0.8)), steps="50")
"""

from .adm import ADMConfig, inspect_checkpoint, load_adm, save_adm
from .embedded import load_embedded
from .errors import InputError
from .guide import Guide, GuideRun
from .ilvr import ILVR
from .lowpass import LowPass, match
from .methods.repaint import Resampling
from .noise import JumpNoise, NoiseSource, RecordedNoise, SeededNoise
from .recipes import RECIPES, Recipe, apply_recipe, vary_factor, vary_range
from .recorder import Recorder, Recording
from .reference import Reference
from .sampling import sample, sample_with
from .schedule import Schedule, Step
from .weight import WeightSchedule
from .window import Window

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
