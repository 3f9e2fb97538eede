"""What a measure asks of a network; it does not know which one it has."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class FeatureExtractor(Protocol):
    """Turns pictures into vectors, for FID and KID."""

    @property
    def name(self) -> str:
        """What a table calls it."""
        ...

    def features(self, x: Tensor) -> Tensor:
        """One vector for each picture, (B, d) on the CPU.

        Args:
            x: (B, 3, H, W) in [-1, 1], of any size: the network brings it to its own.
        """
        ...


class PerceptualDistance(Protocol):
    """Says how different two pictures look, for diversity and likeness."""

    @property
    def name(self) -> str:
        """What a table calls it."""
        ...

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Of each picture of x from that of y, (B,) on the CPU; 0 for equal ones.

        Args:
            x: (B, 3, H, W) in [-1, 1], of any size.
            y: the same shape.
        """
        ...
