"""Methods of guidance: one paper, one file."""

from .classifier import ClassifierGuidance
from .clip import ClipGuidance, spherical_distance
from .ilvr import ILVR
from .lowpass import LowPass, match
from .recorder import Recorder, Recording
from .reference import Reference
from .universal import UniversalGuidance
from .weight import WeightSchedule
from .window import Window

__all__ = [
    "ILVR",
    "ClassifierGuidance",
    "ClipGuidance",
    "LowPass",
    "Recorder",
    "Recording",
    "Reference",
    "UniversalGuidance",
    "WeightSchedule",
    "Window",
    "match",
    "spherical_distance",
]
