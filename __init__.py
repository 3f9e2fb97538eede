"""The door that ComfyUI opens: a folder in ``custom_nodes`` is imported by its path.

Nothing is imported before ComfyUI asks for the nodes, so this file does nothing elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes.extension import ILVRExtension

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> ILVRExtension:
    """What ComfyUI calls once at its start."""
    from .nodes.extension import ILVRExtension

    return ILVRExtension()
