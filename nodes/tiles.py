"""A MODEL whose network is shown windows of what is sampled, whatever the sampler.

The window is cut where the host has put together all that the network is given: what is laid over
the picture (a noise mask, the picture of an inpainting model, a ControlNet's maps) is cut with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import comfy.patcher_extension
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..ilvr_latent import InputError, Tiles
from ..ilvr_latent.diffusion.tiles import Place
from .models.adm_model import OPTIONS, ADMOptions

APPLY_MODEL = comfy.patcher_extension.WrappersMP.APPLY_MODEL
KEY = "ilvr_tiles"


def tiled(model: ModelPatcher, tiles: Tiles) -> ModelPatcher:
    """A MODEL whose network sees windows, in place of those that it saw before, if any.

    Args:
        model: stays as it is.
        tiles: in cells of its latents.

    Returns:
        A clone; the weights are shared.
    """
    clone = model.clone()
    clone.remove_wrappers_with_key(APPLY_MODEL, KEY)
    clone.add_wrapper_with_key(APPLY_MODEL, KEY, _Windows(tiles))
    return clone


@dataclass(frozen=True)
class _Windows:
    """The wrapper around the network of a MODEL, which answers with its estimate of x_0."""

    tiles: Tiles

    def __call__(
        self,
        executor: comfy.patcher_extension.WrapperExecutor,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: dict[str, Any] | None = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        if x.ndim not in (4, 5):
            raise InputError(
                "Windows need latents of one part, and this model's have several; remove ILVR "
                "Upscale from this graph."
            )
        options = {} if transformer_options is None else transformer_options
        whole = x.shape[-2:]

        def asked(window: Tensor, places: Sequence[Place]) -> Tensor:
            (place,) = places
            laid_over = {name: _cut(value, place, whole) for name, value in kwargs.items()}
            x_0: Tensor = executor(
                window, t, _cut(c_concat, place, whole), c_crossattn,
                _cut_control(control, place, whole), options, **laid_over,
            )  # fmt: skip
            return _with_learned(x_0, options)

        # One window a call: whatever else acts on the network finds the batch that it expects.
        blended = self.tiles.blended(x, asked)
        return _without_learned(blended, x.shape[1], options)


def _cut(value: Any, place: Place, whole: torch.Size) -> Any:
    """What is laid over the picture, cut to the window; all else as it is."""
    if not isinstance(value, Tensor) or value.ndim < 4 or value.shape[-2:] != whole:
        return value
    return value[..., place[0], place[1]]


def _cut_control(
    control: dict[str, Any] | None, place: Place, whole: torch.Size
) -> dict[str, Any] | None:
    """A ControlNet's maps, which are smaller than the picture by whole numbers."""
    if control is None:
        return None
    return {
        name: [_part(one, place, whole) for one in maps] if isinstance(maps, list) else maps
        for name, maps in control.items()
    }


def _part(value: Tensor | None, place: Place, whole: torch.Size) -> Tensor | None:
    if value is None:
        return None
    if value.ndim != 4:
        raise InputError(
            "The ControlNet of this model works on rows of tokens, which windows cannot be cut "
            "from; remove it, or ILVR Upscale."
        )
    parts = []
    for at, side, own in zip(place, whole, value.shape[-2:], strict=True):
        length = max(1, round((at.stop - at.start) * own / side))
        start = min(round(at.start * own / side), own - length)
        parts.append(slice(start, start + length))
    return value[..., parts[0], parts[1]]


def _with_learned(x_0: Tensor, options: dict[str, Any]) -> Tensor:
    """With the variance channels that an ADM network hands over beside its answer."""
    adm = options.get(OPTIONS)
    if not isinstance(adm, ADMOptions) or adm.learned is None or not adm.is_own(options):
        return x_0
    return torch.cat([x_0, adm.learned.to(x_0)], dim=1)


def _without_learned(blended: Tensor, channels: int, options: dict[str, Any]) -> Tensor:
    if blended.shape[1] == channels:
        return blended
    options[OPTIONS].learned = blended[:, channels:]
    return blended[:, :channels]
