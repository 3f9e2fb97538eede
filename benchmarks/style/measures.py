"""How far a picture is from the structure of one picture and from the style of another.

    f_l    maps of EfficientNet-Lite0 (ImageNet), which no guide here has seen
    S      self-similarity: cosine similarity of the maps at every two places (STROTSS, 1904.12785)
    G      Gram matrix of the maps, whatever the places (arXiv 1508.06576)
    W      sliced Wasserstein distance of all patches, at three sizes of the picture

What a guide is given, means and covariances of the colours in a few bands, is none of these: S is
of deep maps and knows no colours, G is of shallow ones, and W is of patches whole.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ilvr_latent.metrics.imagenet import SIDE, ImageNetNetwork

# Outputs of the network's blocks: of stride 2 and 4, and of stride 16.
SHALLOW, DEEP = (0, 2), 7
PATCH, DIRECTIONS, SCALES = 5, 128, (1, 2, 4)


class Measures:
    """The three distances.

    Args:
        network: EfficientNet-Lite0.
    """

    def __init__(self, network: ImageNetNetwork) -> None:
        self._network = network
        drawn = torch.randn(
            3 * PATCH**2,
            DIRECTIONS,
            generator=torch.Generator().manual_seed(0),
            dtype=torch.float64,
        )
        self._directions = (drawn / drawn.norm(dim=0)).float()

    def structure(self, x: Tensor, a: Tensor) -> Tensor:
        """Mean absolute difference of self-similarities, (B,); pictures (B, 3, H, W) in [-1, 1]."""
        return (self._similarity(x) - self._similarity(a)).abs().mean((1, 2))

    def style(self, x: Tensor, b: Tensor) -> Tensor:
        """Distance of the Gram matrices, relative to those of ``b``, (B,)."""
        apart = []
        for f, g in zip(self._maps(x)[0], self._maps(b)[0], strict=True):
            wanted = _gram(g)
            apart.append((_gram(f) - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1))
        return torch.stack(apart).mean(0)

    def patches(self, x: Tensor, b: Tensor) -> Tensor:
        """Sliced Wasserstein distance of patches, (B,)."""
        apart = []
        for scale in SCALES:
            seen = [self._projected(F.avg_pool2d(one, scale)) for one in (x, b)]
            apart.append((seen[0] - seen[1]).abs().mean((1, 2)))
        return torch.stack(apart).mean(0)

    def _projected(self, x: Tensor) -> Tensor:
        """Patches along each direction, in order, (B, directions, patches)."""
        patches = F.unfold(x, PATCH)
        sorted_patches: Tensor = (self._directions.T @ patches).sort(-1).values
        return sorted_patches

    def _similarity(self, x: Tensor) -> Tensor:
        deep = F.normalize(self._maps(x)[1].flatten(2), dim=1)
        return deep.mT @ deep

    def _maps(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        network = self._network
        x = F.interpolate(x.clamp(-1, 1), (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)
        x = F.relu6(network._bn0(network._conv_stem(x)))
        shallow = []
        for i, block in enumerate(network._blocks[: DEEP + 1]):
            x = block(x)
            if i in SHALLOW:
                shallow.append(x)
        return shallow, x


def _gram(maps: Tensor) -> Tensor:
    flat = maps.flatten(2)
    return flat @ flat.mT / flat.shape[-1]
