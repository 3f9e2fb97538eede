"""What samples should look like: the features of many pictures of a domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..embedded import ASSETS
from ..errors import InputError
from ..pictures.images import find_images, fit_to, read_image, to_tensor
from .protocols import FeatureExtractor

EMBEDDED_DOMAIN = ASSETS / "features64-emoji.safetensors"
IMAGENET_DOMAIN = ASSETS / "imagenet-emoji.safetensors"
BATCH = 64


@dataclass(frozen=True)
class Domain:
    """Pooled features of a domain's pictures.

    Attributes:
        name: what a table calls it.
        features: (m, d).
        held_out: (h, d) of pictures of the domain that no model was trained on, where there are
            any: what a perfect model would score.
    """

    name: str
    features: Tensor
    held_out: Tensor | None = None


def load_embedded_domain(path: Path = EMBEDDED_DOMAIN) -> Domain:
    """What the embedded pixel model was trained on.

    Args:
        path: :data:`EMBEDDED_DOMAIN`, by the embedded network (``training/export_features.py``),
            or :data:`IMAGENET_DOMAIN`, by that of ImageNet (``training/export_imagenet.py``).
    """
    stored = load_file(path)
    return Domain(
        "training pictures of the embedded model",
        stored["features"].float(),
        stored["held_out"].float(),
    )


def pooled_features(network: FeatureExtractor, x: Tensor) -> Tensor:
    """z of many pictures (B, 3, H, W), a batch at a time."""
    return torch.cat([network.features(batch) for batch in torch.split(x, BATCH)])


def find_domain(folder: Path) -> list[Path]:
    """The pictures of a folder.

    Raises:
        InputError: there are fewer than two.
    """
    paths = find_images([str(folder)])
    if len(paths) < 2:
        raise InputError(f"The domain {str(folder)!r} holds one picture; FID needs many.")
    return paths


def read_domain(
    name: str,
    paths: Sequence[Path],
    network: FeatureExtractor,
    size: tuple[int, int],
    advance: Callable[[int], None] = lambda pictures: None,
) -> Domain:
    """The features of pictures, cropped to the frame of the samples.

    Args:
        name: what a table calls the domain.
        paths: the pictures.
        network: what they are compared by.
        size: width and height of the samples.
        advance: called with the number of pictures that were done.

    Raises:
        InputError: one cannot be read.
    """
    features = []
    for start in range(0, len(paths), BATCH):
        batch = [to_tensor(fit_to(read_image(p), size)) for p in paths[start : start + BATCH]]
        features.append(network.features(torch.cat(batch)))
        advance(len(batch))
    return Domain(name, torch.cat(features))
