"""The class that every node of this pack is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from comfy_api.latest import io

from .inputs import check_inputs

CHECKED = "_ilvr_checked"


class Node(io.ComfyNode):
    """A node that is given nothing but what its schema says."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("execute")
        # The host copies a class, with all that is in it, before each call.
        if own is not None and not hasattr(own.__func__, CHECKED):
            cls.execute = classmethod(_checked(own.__func__))


def _checked(execute: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
    signature = inspect.signature(execute)

    @functools.wraps(execute)
    def checked(cls: Any, *args: Any, **kwargs: Any) -> io.NodeOutput:
        bound = signature.bind(cls, *args, **kwargs).arguments
        for name, parameter in signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                bound |= bound.pop(name, {})
        check_inputs(cls.define_schema().inputs, bound)
        return execute(cls, *args, **kwargs)

    setattr(checked, CHECKED, True)
    return checked
