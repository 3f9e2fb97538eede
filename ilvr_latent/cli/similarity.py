"""``--similarity``: one number in place of N, range and weight."""

from __future__ import annotations

import argparse

from .. import defaults
from ..errors import InputError
from ..methods import Method
from ..similarity import dial
from .making import PictureMaker
from .option import flag_of

HELP = "0 (not guided) to 100 (the reference), in place of --factor, --end and --weight"
# What it chooses, and what leaves nothing to choose.
CHOSEN = ("factor", "start", "end", "timestep_range", "step_range", "recipe")


def check_similarity(options: argparse.Namespace) -> None:
    """Refuse a similarity that is none, or that is given with what it chooses.

    Raises:
        InputError: it is.
    """
    if options.similarity is None:
        return
    given = [name for name in CHOSEN if getattr(options, name, None) is not None]
    given += ["weight"] if float_or_none(options.weight) != defaults.WEIGHT else []
    given += ["method"] if options.method != Method().name else []
    given += ["band"] if options.band != "coarse" else []
    if given:
        raise InputError(
            f"--similarity chooses N, range and weight of ILVR, so {flag_of(given[0])} has no "
            "place beside it; leave one of them out."
        )
    dial(options.similarity)


def float_or_none(text: str) -> float | None:
    """A number as it is typed, where it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def take_similarity(options: argparse.Namespace, maker: PictureMaker) -> float:
    """Put range and weight of the similarity among the options, for a model that was loaded.

    Returns:
        N, in the model's cells.
    """
    side = min(maker.size) // maker.cell
    chosen = dial(options.similarity, maker.cell, side)
    options.start, options.end = 0.0, chosen.end
    options.weight = f"{chosen.weight:.6g}"
    return chosen.factor(side)
