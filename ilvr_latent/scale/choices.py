"""Options of a translation: from a call or a command, checked before any work."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from ..cli.common import choose_dtype
from ..cli.options import Options, table
from ..cli.settings import Settings
from ..cli.translation import read_recipe, take_range
from ..errors import InputError, check_choice
from ..recipes import RECIPES

DEVICES = ("auto", "cpu", "cuda", "mps")


def options_of(settings: Mapping[str, Any]) -> argparse.Namespace:
    """The options of the table, those that are not given by their defaults.

    Raises:
        InputError: there is no such option.
    """
    names = [name for name, _ in table()]
    for name in settings:
        check_choice("setting", name, names)
    defaults = {field.name: field.default for field in dataclasses.fields(Options)}
    return argparse.Namespace(**{name: settings.get(name, defaults[name]) for name in names})


def settle_device(options: argparse.Namespace, found: str) -> None:
    """Write device and precision into the options: all workers have the same.

    Args:
        options: of the table.
        found: what workers have, for ``auto``.
    """
    if options.device == "auto":
        options.device = found
    model = options.pipeline or options.model or "embedded"
    dtype = choose_dtype(options.dtype, torch.device(options.device), model)
    options.dtype = str(dtype).removeprefix("torch.")


def check_options(options: argparse.Namespace) -> None:
    """Refuse what can be for no row.

    Args:
        options: of the table, with ``factor``, ``recipe``, ``samples``, ``seed`` and ``seeds``.

    Raises:
        InputError: something is.
    """
    if options.device not in DEVICES:
        raise InputError(
            f"--device is {options.device!r}, and Ray gives each worker its own; use one of "
            f"{', '.join(DEVICES)}."
        )
    if options.samples < 1:
        raise InputError(f"--samples is {options.samples}; use 1 or more.")
    tried = argparse.Namespace(**vars(options))
    if tried.recipe is not None:
        check_choice("recipe", tried.recipe, RECIPES)
    if tried.recipe is not None and RECIPES[tried.recipe].masked and tried.mask is None:
        # Rows may have masks of their own.
        take_range(tried)
    else:
        read_recipe(tried)
    for factor in tried.factor or [1.0]:
        Settings.of(tried, factor)
