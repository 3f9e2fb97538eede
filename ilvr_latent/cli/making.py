"""What the commands ask of a model that makes pictures, whatever it is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from PIL import Image
from torch import Tensor

from ..diffusion.guide import Guide
from ..guides.bands import BANDS, Band
from ..guides.lowpass import Kernel
from ..guides.reference import Reference
from ..pictures.images import to_images
from .common import Advance
from .settings import Settings

Watch = Callable[[Guide, Reference], Guide]
"""Puts something around the method of a run, which sees what the network makes of it."""


class PictureMaker(Protocol):
    """A model that has been loaded."""

    size: tuple[int, int]
    """Width and height of the pictures."""
    cell: int
    """Pixels to one unit of N."""
    timesteps: int
    """Of the forward process."""
    mask: Tensor | None
    """Where references are matched, (1, 1, H, W) in [0, 1] at the size of the pictures."""

    def calls(self, settings: Settings) -> int:
        """Steps of progress for a batch."""
        ...

    def check(self, references: Tensor, settings: Settings) -> None:
        """Find what is wrong with the settings before any work.

        Raises:
            InputError: something is.
        """
        ...

    def shared(self, settings: Settings) -> Hashable:
        """What the pictures of a batch have in common: it is equal, whatever else they are."""
        ...

    def make(
        self,
        references: Tensor,
        settings: Settings | Sequence[Settings],
        seeds: Sequence[int],
        advance: Advance,
        watch: Watch | None = None,
    ) -> list[Image.Image]:
        """One picture for each of the seeds.

        Args:
            references: (B, 3, H, W) in [-1, 1], one for all or one for each seed.
            settings: that were checked, of all pictures or of each; see :meth:`shared`.
            seeds: one for each picture.
            advance: called as progress is made.
            watch: put around each method.
        """
        ...


def matched_part(
    maker: PictureMaker, references: Tensor, factor: float, kernel: Kernel, band: Band
) -> list[Image.Image]:
    """What samples are held to: the band of each reference, grey where the mask is black."""
    low = BANDS[band](factor * maker.cell, kernel)(references)
    return to_images(low if maker.mask is None else low * maker.mask)
