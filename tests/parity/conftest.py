"""Goldens of the network: what guided-diffusion itself computed, and the weights it had.

The weights need no files: each is a function of its name and shape alone.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

FIXTURES = Path(__file__).parent.parent / "fixtures"


@dataclass(frozen=True)
class GoldenUNet:
    """One architecture: its flags, what keys tell of it, its weights, an input and the output."""

    flags: dict[str, Any]
    detected: dict[str, Any]
    state_dict: dict[str, Tensor]
    x: Tensor
    t: Tensor
    out: Tensor


def fill_value(name: str, shape: Sequence[int]) -> Tensor:
    """The golden weight of one parameter, the same under any version of torch and numpy.

    Philox bits, keyed by the name, become 24-bit numbers in [-1, 1), which fp32 holds exactly.
    """
    bits = np.random.Philox(key=zlib.crc32(name.encode())).random_raw(math.prod(shape))
    uniform = (bits >> np.uint64(40)).astype(np.float64) / 2**24 * 2 - 1
    if len(shape) > 1:
        scale = 0.5 if name == "label_emb.weight" else math.sqrt(3 / math.prod(shape[1:]))
        values = uniform * scale
    else:
        norm = re.search(r"(in_layers\.0|out_layers\.0|\.norm|^out\.0)\.weight$", name)
        values = (1 if norm else 0) + 0.25 * uniform
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


@pytest.fixture(scope="session")
def recipe_weights() -> Callable[[Mapping[str, Sequence[int]]], dict[str, Tensor]]:
    """A state dict of the given shapes, filled by the recipe."""
    return lambda shapes: {name: fill_value(name, shape) for name, shape in shapes.items()}


@pytest.fixture(scope="session")
def golden_unet() -> Callable[[str], GoldenUNet]:
    """Read ``unet_NAME.json`` and ``unet_NAME_io.pt``."""

    def read(name: str) -> GoldenUNet:
        about = json.loads((FIXTURES / f"unet_{name}.json").read_text())
        run = torch.load(FIXTURES / f"unet_{name}_io.pt", weights_only=True)
        weights = {key: fill_value(key, shape) for key, shape in about["keys_shapes"].items()}
        return GoldenUNet(
            about["flags"], about["detected"], weights, run["x"], run["t"], run["out"]
        )

    return read
