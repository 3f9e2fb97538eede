"""The options of methods beside ILVR: a part of the one table in :mod:`.options`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..methods import METHODS, Method
from .option import option

_DEFAULT = {field.name: field.default for field in dataclasses.fields(Method)}
_METHOD: dict[str, Any] = {
    "kind": "checkpoint",
    "group": "methods that follow the reference",
    "written": True,
}
_CLASSIFIER: dict[str, Any] = {**_METHOD, "group": "classifier", "own": True}
_LOSS: dict[str, Any] = {**_METHOD, "group": "universal guidance"}

LOSSES = ("colours", "picture", "edges", "style")


@dataclass(frozen=True)
class OptionsOfMethods:
    """A field is the option of the same name, as it was typed."""

    method: str = option(
        "ilvr",
        "ilvr (the paper); ddnm: the same on the prediction; sdedit: begin with the noised "
        "reference; egsde: and be pulled to it; sddm: hold the statistics of its blocks",
        choices=METHODS,
        axis=True,
        **_METHOD,
    )
    realism: float = option(
        _DEFAULT["realism"],
        "of egsde: away from the reference's domain, by --classifier's features",
        read=float,
        axis=True,
        own=True,
        **_METHOD,
    )
    faithful: float = option(
        _DEFAULT["faithful"],
        "of egsde: to its layout",
        read=float,
        axis=True,
        **_METHOD,
        own=True,
    )
    blocks: int = option(
        _DEFAULT["blocks"],
        "of sddm: along each side",
        read=int,
        axis=True,
        **_METHOD,
        own=True,
    )
    energy_weight: float = option(
        _DEFAULT["energy_weight"],
        "of sddm: of the energy of --classifier's features (the paper: 25)",
        read=float,
        axis=True,
        own=True,
        **_METHOD,
    )
    classifier: str | None = option(
        None,
        "'embedded' (default) or a guided-diffusion classifier of noisy pictures",
        metavar="FILE",
        **_CLASSIFIER,
    )
    classifier_flag: tuple[str, ...] = option(
        (),
        "a flag its file can't tell, such as num_head_channels=64; may be repeated",
        action="append",
        metavar="NAME=VALUE",
        **_CLASSIFIER,
    )
    class_: str | None = option(
        None,
        "lead the picture there: a number, a group of emoji, such as animals or food, or auto: "
        "what the classifier says of the reference",
        metavar="CLASS",
        **_CLASSIFIER,
    )
    classifier_scale: float = option(
        1.0, "how strongly (--class)", read=float, metavar="S", axis=True, **_CLASSIFIER
    )
    loss: str | None = option(
        None,
        "what the picture shall have in common with --target; picture: in the --mask",
        choices=LOSSES,
        **_LOSS,
    )
    target: str | None = option(
        None, "a picture; by default the reference", metavar="PATH", **_LOSS
    )
    loss_weight: float = option(
        0.0, "through the network (forward guidance)", read=float, metavar="W", axis=True, **_LOSS
    )
    backward_steps: int = option(
        0, "moves of the estimate itself (backward guidance)", read=int, axis=True, **_LOSS
    )
    backward_lr: float = option(1.0, "how long each of them is", read=float, axis=True, **_LOSS)
    recurrence: int = option(1, "how often each step is taken", read=int, axis=True, **_LOSS)
