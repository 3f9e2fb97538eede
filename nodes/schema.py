"""The schema of a node, with what newer versions of ComfyUI know of one."""

from __future__ import annotations

import dataclasses
from typing import Any

from comfy_api.latest import io


def schema(*, search_aliases: list[str], **fields: Any) -> io.Schema:
    """A node's schema.

    Args:
        search_aliases: other words that the node is found by, where the host can.
        **fields: as of ``io.Schema``.
    """
    if "search_aliases" in {field.name for field in dataclasses.fields(io.Schema)}:
        fields["search_aliases"] = search_aliases
    return io.Schema(**fields)


def fraction(name: str, default: float, *, step: float = 0.001, **fields: Any) -> io.Float.Input:
    """A number from 0 to 1: a place in the range, a weight, a share.

    Args:
        name: of the input.
        default: where it begins.
        step: of the arrows; the front end shows no more digits than it has.
        **fields: as of ``io.Float.Input``.
    """
    return io.Float.Input(name, default=default, min=0.0, max=1.0, step=step, **fields)


def advanced(given: Any) -> Any:
    """An input that newcomers do not need: folded away, by web/widgets.js on older hosts."""
    if hasattr(given, "advanced"):
        given.advanced = True
    else:
        given.extra_dict = {**(given.extra_dict or {}), "advanced": True}
    return given
