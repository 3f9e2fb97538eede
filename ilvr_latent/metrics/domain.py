"""What samples should look like: the features of many pictures of a domain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..embedded import ASSETS
from ..errors import InputError
from ..images import find_images, fit_to, read_image, to_tensor
from .network import SIDE, FeatureNetwork

EMBEDDED_DOMAIN = ASSETS / "features64-emoji.safetensors"
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


def load_embedded_domain() -> Domain:
    """What the embedded pixel model was trained on; made by ``training/export_features.py``."""
    stored = load_file(EMBEDDED_DOMAIN)
    return Domain(
        "training pictures of the embedded model",
        stored["features"].float(),
        stored["held_out"].float(),
    )


@torch.inference_mode()
def pooled_features(network: FeatureNetwork, x: Tensor) -> Tensor:
    """z of many pictures (B, 3, H, W), a batch at a time."""
    return torch.cat([network(batch) for batch in torch.split(x, BATCH)])


def read_domain(folder: Path, network: FeatureNetwork) -> Domain:
    """The pictures of a folder, cropped to squares.

    Raises:
        InputError: there are fewer than two, or one cannot be read.
    """
    paths = find_images([str(folder)])
    if len(paths) < 2:
        raise InputError(f"The domain {str(folder)!r} holds one picture; FID needs many.")
    pictures = (to_tensor(fit_to(read_image(path), (SIDE, SIDE))) for path in paths)
    return Domain(folder.name, pooled_features(network, torch.cat(list(pictures))))
