"""Methods of guidance: one paper, one file."""

from .ilvr import ILVR
from .lowpass import LowPass, match
from .recorder import Recorder, Recording
from .reference import Reference
from .weight import WeightSchedule
from .window import Window

__all__ = [
    "ILVR",
    "LowPass",
    "Recorder",
    "Recording",
    "Reference",
    "WeightSchedule",
    "Window",
    "match",
]
