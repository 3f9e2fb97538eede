"""The feature network of the embedded domain: what two pictures are compared by.

    f_l     levels      feature maps of four stages, 32x32 to 4x4
    z       pooled      the mean of the last stage, projected to 64 numbers

It was trained to tell 1,500 emoji apart (``training/train_features.py``), so its distances are not
those of Inception or LPIPS: figures may be compared with each other, not with a paper's.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ..embedded import ASSETS
from .perceptual import perceptual_distance

FEATURE_NETWORK = ASSETS / "features64.safetensors"
WIDTHS = (32, 64, 96, 128)
DIMENSIONS = 64
SIDE = 64
GROUPS = 8


class Stage(nn.Module):
    """Half the size: a strided convolution, then a residual one.

    Args:
        channels: of the input.
        width: of the output.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)
        self.down_norm = nn.GroupNorm(GROUPS, width)
        self.refine = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.refine_norm = nn.GroupNorm(GROUPS, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, width, H / 2, W / 2)."""
        x = F.relu(self.down_norm(self.down(x)))
        return F.relu(x + self.refine_norm(self.refine(x)))


class FeatureNetwork(nn.Module):
    """A small convolutional network with four stages."""

    name = "domain features, embedded"

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(map(Stage, (3, *WIDTHS[:-1]), WIDTHS))
        self.project = nn.Linear(WIDTHS[-1], DIMENSIONS)

    def levels(self, x: Tensor) -> list[Tensor]:
        """The feature maps f_l of pictures.

        Args:
            x: (B, 3, H, W) in [-1, 1]; other sizes than 64x64 are resampled.
        """
        if x.shape[-2:] != (SIDE, SIDE):
            x = F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def pooled(self, levels: list[Tensor]) -> Tensor:
        """z of pictures whose maps are known, (B, 64)."""
        z: Tensor = self.project(levels[-1].mean(dim=(2, 3)))
        return z

    def forward(self, x: Tensor) -> Tensor:
        """z of pictures, (B, 64)."""
        return self.pooled(self.levels(x))

    @torch.inference_mode()
    def features(self, x: Tensor) -> Tensor:
        """See :class:`.protocols.FeatureExtractor`."""
        z: Tensor = self(x)
        return z.cpu()

    @torch.inference_mode()
    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """See :class:`.protocols.PerceptualDistance`: that of the maps."""
        return perceptual_distance(self.levels(x), self.levels(y)).cpu()


@lru_cache
def load_feature_network(device: torch.device | str = "cpu") -> FeatureNetwork:
    """The network that comes with the package, fp32, ready to use."""
    network = FeatureNetwork()
    network.load_state_dict(load_file(FEATURE_NETWORK))
    return network.eval().requires_grad_(False).to(device)
