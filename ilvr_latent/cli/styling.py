"""``--style``: the style of a second picture, beside the reference that is followed."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..diffusion.guide import Guide, Guides
from ..guides.style import BandStatistics
from ..pictures.images import fit_to, read_image, to_tensor
from .settings import Settings


def with_style(
    guide: Guide,
    settings: Settings,
    size: tuple[int, int],
    encoded: Callable[[Tensor], Tensor],
) -> Guide:
    """A guide, and after it the style that the options name.

    Args:
        guide: what follows the reference; itself where there is no style.
        settings: that were checked.
        size: width and height of the pictures.
        encoded: a picture (1, 3, H, W) in [-1, 1] as what is sampled.

    Raises:
        InputError: the picture cannot be read, or a number is none that can be used.
    """
    if settings.style is None:
        return guide
    picture = to_tensor(fit_to(read_image(settings.style), size, settings.fit))
    style = BandStatistics(encoded(picture), settings.style_factor, weight=settings.style_weight)
    return Guides(guide, style)
