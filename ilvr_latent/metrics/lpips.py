"""LPIPS (arXiv 1801.03924) with the user's own copy of its backbone.

torchmetrics has the distance and ships the learned linear heads; the backbone is torchvision's
AlexNet or VGG16, which torchmetrics' public class would download. So its network is made with a
random one, whose weights are then replaced.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..adm.weights import read_weights
from ..errors import InputError
from .distribution import require_torchmetrics
from .provenance import named

# Told by the shape of the first convolution: name in a table, name in torchmetrics.
BACKBONES: dict[tuple[int, ...], tuple[str, str]] = {
    (64, 3, 11, 11): ("AlexNet", "alex"),
    (64, 3, 3, 3): ("VGG16", "vgg"),
}
# LPIPS was learned on patches of 64x64; AlexNet has nothing left of much smaller ones.
SMALLEST_SIDE = 64


class LPIPS:
    """The learned perceptual distance; see :class:`.protocols.PerceptualDistance`.

    Args:
        path: torchvision's state dict of AlexNet or VGG16.
        device: where to put the network.

    Raises:
        InputError: the file can't be read or is another network's, or a package is missing.
    """

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        require_torchmetrics()
        if importlib.util.find_spec("torchvision") is None:
            raise InputError(
                "LPIPS needs the package torchvision, which is not installed; "
                "run: pip install torchvision."
            )
        tensors = read_weights(path).tensors
        first = tensors.get("features.0.weight")
        shape = () if first is None else tuple(first.shape)
        if shape not in BACKBONES:
            raise _refusal(path)
        title, kind = BACKBONES[shape]
        self._network = _random_network(kind)
        _fill(self._network, tensors, path)
        self._network.to(device)
        self._device = device
        self.name = f"LPIPS on {title} ({named(path)})"

    @torch.inference_mode()
    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """See :class:`.protocols.PerceptualDistance`; small pictures are enlarged to 64 pixels."""
        d: Tensor = self._network(self._enlarged(x), self._enlarged(y))
        return d.flatten().cpu()

    def _enlarged(self, x: Tensor) -> Tensor:
        x, scale = x.to(self._device), SMALLEST_SIDE / min(x.shape[-2:])
        if scale <= 1:
            return x
        size = [round(scale * side) for side in x.shape[-2:]]
        return F.interpolate(x, size, mode="bilinear")


def _random_network(kind: str) -> torch.nn.Module:
    # The one class of torchmetrics that takes a backbone without downloading it.
    from torchmetrics.functional.image.lpips import _NoTrainLpips

    with torch.random.fork_rng(devices=[]):
        return _NoTrainLpips(net=kind, pnet_rand=True)  # type: ignore[arg-type]


def _fill(network: torch.nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put torchvision's ``features.3.weight`` where torchmetrics has ``net.slice2.3.weight``."""
    backbone = network.get_submodule("net")
    own = {f"features.{name.partition('.')[2]}": name for name in backbone.state_dict()}
    given = {name: x for name, x in tensors.items() if not name.startswith("classifier.")}
    try:
        backbone.load_state_dict({own.get(name, name): x for name, x in given.items()})
    except RuntimeError:
        raise _refusal(path) from None


def _refusal(path: Path) -> InputError:
    return InputError(
        f"'{path}' holds neither AlexNet nor VGG16 as torchvision has them; give one of its files, "
        "such as alexnet-owt-7be5be79.pth or vgg16-397923af.pth."
    )
