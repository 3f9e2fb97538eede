"""State dicts that hold what is no plain weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import torch
from torch import Tensor

from tests.fuzz.mutations import text, value

KINDS: tuple[Callable[[Tensor], object], ...] = (
    lambda x: x.to(torch.int64),
    lambda x: x > 0,
    lambda x: x.to(torch.complex64),
    lambda x: x.double(),
    lambda x: x.to(torch.float8_e4m3fn),
    lambda x: x.float().to_sparse(),
    lambda x: x.to("meta"),
    lambda x: torch.quantize_per_tensor(x.float(), 0.1, 0, torch.qint8),
    lambda x: torch.tensor(0.5),
    lambda x: torch.zeros(0),
    lambda x: torch.zeros(1).expand(1 << 14, 1 << 14),
    lambda x: torch.zeros(1).as_strided((2**20, 2**20), (0, 0)),
    lambda x: torch.full_like(x, math.nan),
    lambda x: torch.full_like(x, -math.inf),
    lambda x: x.flatten(),
    lambda x: x[None],
    lambda x: x.mT if x.ndim > 1 else x.flip(0),
    lambda x: torch.nn.Parameter(x),
    lambda x: [x],
    lambda x: {"x": x},
    lambda x: x.tolist() if x.numel() < 1000 else x.numel(),
    lambda x: torch.zeros([1] * 40),
    lambda x: None,
    lambda x: torch.float16,
    lambda x: torch.Size([1, 2]),
)
WRAPPERS: tuple[Callable[[dict[str, object]], object], ...] = (
    lambda d: {"state_dict": d},
    lambda d: {"model": d, "ema_model": d},
    lambda d: {"model": d, "model_ema": {}},
    lambda d: {"model": d, "ema": {"shadow_params": list(d.values())}},
    lambda d: {"model": d, "ema": {"shadow_params": [1, None]}},
    lambda d: {"model": d, "ema": {"shadow_params": torch.zeros(3)}},
    lambda d: {"model": d, "ema": 5},
    lambda d: {"model": list(d.items())},
    lambda d: {"model": {"model": {"model": d}}},
    lambda d: {"state_dict": None, "model": d},
    lambda d: [d],
    lambda d: (1, d),
    lambda d: {f"module.{name}": x for name, x in d.items()},
    lambda d: {f"_orig_mod.module.{name}": x for name, x in d.items()},
    lambda d: {f"model.diffusion_model.{name}": x for name, x in d.items()},
    lambda d: {1: d},
    lambda d: {5: 5, "": d},
    lambda d: {(1, 2): torch.zeros(3)},
)


def hostile_state_dict(tensors: dict[str, Tensor], random: Random) -> object:
    """One with a few tensors exchanged, or wrapped in an odd way, or both."""
    changed: dict[str, object] = dict(tensors)
    for _ in range(random.randrange(3)):
        name = random.choice(tuple(tensors))
        changed[name] = random.choice(KINDS)(tensors[name])
    for _ in range(random.randrange(2)):
        changed.pop(random.choice(tuple(changed)))
    if random.random() < 0.1:
        changed[text(random).encode(errors="replace").decode()] = value(random)
    if random.random() < 0.5:
        return random.choice(WRAPPERS)(changed)
    return changed
