"""Methods of guidance: one paper, one file."""

from . import losses
from .blocks import block_adain, block_statistics, tangent_split
from .classifier import ClassifierGuidance
from .clip import ClipGuidance, spherical_distance
from .egsde import EGSDE
from .energy import Energy, feature_energy
from .ilvr import ILVR
from .lowpass import LowPass, match
from .min_norm import min_norm
from .picture_match import match_picture
from .recorder import Recorder, Recording
from .reference import Reference
from .sddm import SDDM
from .style import BandStatistics
from .transport import recolour
from .universal import UniversalGuidance
from .weight import WeightSchedule
from .window import Window

__all__ = [
    "EGSDE",
    "ILVR",
    "SDDM",
    "BandStatistics",
    "ClassifierGuidance",
    "ClipGuidance",
    "Energy",
    "LowPass",
    "Recorder",
    "Recording",
    "Reference",
    "UniversalGuidance",
    "WeightSchedule",
    "Window",
    "block_adain",
    "block_statistics",
    "feature_energy",
    "losses",
    "match",
    "match_picture",
    "min_norm",
    "recolour",
    "spherical_distance",
    "tangent_split",
]
