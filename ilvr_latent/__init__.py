"""ILVR: reference-guided diffusion without training (arXiv 2108.02938).

>>> from ilvr_latent import Reference, Window, load_embedded, sample
>>> model = load_embedded()
>>> picture = sample(model, Reference(image, factor=4, window=Window(0, 0.8)), steps="50")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from .adm import (
        ADMConfig,
        inspect_checkpoint,
        load_adm,
        save_adm,
        with_perturbed_attention,
    )
    from .diffusion import (
        SAMPLERS,
        Guide,
        GuideRun,
        Guides,
        JumpNoise,
        NoiseSource,
        RecordedNoise,
        Resampling,
        Run,
        Schedule,
        SeededNoise,
        SideBySide,
        Start,
        Step,
        TiledDenoiser,
        Tiles,
        sample_with,
    )
    from .embedded import load_embedded
    from .guides import (
        EGSDE,
        ILVR,
        SDDM,
        BandStatistics,
        LowPass,
        Recorder,
        Recording,
        Reference,
        WeightSchedule,
        Window,
        match,
        match_picture,
        recolour,
    )
    from .recipes import RECIPES, Recipe, apply_recipe, vary_factor, vary_range
    from .sampling import sample
    from .similarity import Dial, dial
    from .upscaling import upscale

__version__ = "0.1.0"

__all__ = [
    "EGSDE",
    "ILVR",
    "RECIPES",
    "SAMPLERS",
    "SDDM",
    "ADMConfig",
    "BandStatistics",
    "Dial",
    "Guide",
    "GuideRun",
    "Guides",
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
    "Run",
    "Schedule",
    "SeededNoise",
    "SideBySide",
    "Start",
    "Step",
    "TiledDenoiser",
    "Tiles",
    "WeightSchedule",
    "Window",
    "apply_recipe",
    "dial",
    "inspect_checkpoint",
    "load_adm",
    "load_embedded",
    "match",
    "match_picture",
    "recolour",
    "sample",
    "sample_with",
    "save_adm",
    "upscale",
    "vary_factor",
    "vary_range",
    "with_perturbed_attention",
]

# Where a name comes from is looked for in this order.
_PACKAGES = (
    *("guides", "diffusion", "sampling", "adm", "embedded", "recipes"),
    *("similarity", "upscaling"),
)


def __getattr__(name: str) -> Any:
    """Import what is asked for, and no more: PyTorch alone takes a second and more."""
    if name in __all__:
        for package in _PACKAGES:
            module = importlib.import_module(f"{__name__}.{package}")
            if name in vars(module):
                globals()[name] = vars(module)[name]
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The names there are, asked for or not."""
    return sorted({*globals(), *__all__})
