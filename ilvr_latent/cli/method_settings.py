"""What the options of :mod:`.options_of_methods` mean, and which of them do not go together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ..embedded import GROUPS
from ..errors import InputError
from ..methods import Method, MethodName
from .option import flag_of

if TYPE_CHECKING:
    from .settings import Settings

WHEN = ("start", "end", "timestep_range", "step_range")
MATCHED = ("ilvr", "ddnm")
# Which methods have a use for an option of matching or of another method.
OF_METHODS: dict[str, tuple[str, ...]] = {
    "kernel": MATCHED,
    "weight": MATCHED,
    "reference_noise": MATCHED,
    "jump_length": MATCHED,
    "jump_n_sample": MATCHED,
    "space": ("ilvr",),
    **dict.fromkeys(WHEN, (*MATCHED, "sddm")),
    "mask": (*MATCHED, "sddm"),
    "realism": ("egsde",),
    "faithful": ("egsde",),
    "blocks": ("sddm",),
    "energy_weight": ("sddm",),
}
OF_STYLE = ("style_weight", "style_factor")
OF_LOSS = ("target", "loss_weight", "backward_steps", "backward_lr", "recurrence")


def check_methods(settings: Settings) -> None:
    """Refuse options that do nothing together.

    Raises:
        InputError: there is one.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    given = {name for name, value in defaults.items() if getattr(settings, name) != value}
    for name, methods in OF_METHODS.items():
        # A mask may also say where a loss compares.
        used = name == "mask" and settings.loss == "picture"
        if name in given and settings.method not in methods and not used:
            raise InputError(
                f"{flag_of(name)} does not belong to --method {settings.method}; leave it out."
            )
    if settings.class_ is None:
        _refuse_without("--class", given, ("classifier_scale",))
        if not method_of(settings).asks_for_features:
            what = "--class, or a method that uses its features"
            _refuse_without(what, given, ("classifier", "classifier_flag"))
    if settings.style is None:
        _refuse_without("--style", given, OF_STYLE)
    if settings.loss is None:
        _refuse_without("--loss", given, OF_LOSS)
    elif not settings.loss_weight and not settings.backward_steps:
        raise InputError(
            "--loss does nothing without a weight; give --loss-weight, --backward-steps or both."
        )


def of_others(method: str, *, asks: bool) -> list[str]:
    """The options that a method has no use for.

    Args:
        method: its name.
        asks: whether it asks a classifier for more than features; EGSDE asks for those.
    """
    names = [name for name, methods in OF_METHODS.items() if method not in methods]
    if not asks and method != "egsde":
        names += ["classifier", "classifier_flag"]
    return names


def _refuse_without(what: str, given: set[str], names: Sequence[str]) -> None:
    for name in names:
        if name in given:
            raise InputError(f"{flag_of(name)} does nothing without {what}; leave it out.")


def method_of(settings: Settings) -> Method:
    """The method that the options name.

    Raises:
        InputError: the strength can't be.
    """
    names = ("realism", "faithful", "blocks", "energy_weight")
    own: dict[str, Any] = {name: getattr(settings, name) for name in names}
    name = cast(MethodName, settings.method)
    strength = settings.strength if settings.pipeline is None else None
    return Method(name, strength=strength, **own)


def class_number(text: str, classes: int, *, embedded: bool) -> int:
    """A class as a number: as it was typed, or by the beginning of a word of its name.

    Args:
        text: what was typed.
        classes: how many there are.
        embedded: of the embedded classifier, whose classes have names.

    Raises:
        InputError: it is no class, or may be several.
    """
    if text.lstrip("-").isdecimal():
        number = int(text)
        if not 0 <= number < classes:
            raise InputError(
                f"--class is {number}; this classifier has the classes 0 to {classes - 1}."
            )
        return number
    known = GROUPS if embedded else ()
    wanted = text.strip().casefold()
    found = [
        index
        for index, name in enumerate(known)
        if name.casefold() == wanted
        or any(word and word.startswith(wanted) for word in name.casefold().split(" "))
    ]
    if wanted and len(found) == 1:
        return found[0]
    named = f" or one of {', '.join(known)}" if known else ""
    raise InputError(f"--class is {text!r}; use a number from 0 to {classes - 1}{named}.")
