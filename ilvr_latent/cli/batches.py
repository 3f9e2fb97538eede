"""Which pictures are made together, and how many at a time.

The network is asked about a whole batch at once, which is faster than one picture after the other;
what differs from picture to picture is left to guides (:mod:`..diffusion.side_by_side`). A picture
does not depend on which others are in its batch, and on how many only by the rounding of the
network: up to 4e-6 of the embedded one, so that a byte in ten thousand may differ by 1.

How many: what ``--batch-size`` says; without it 16, or fewer where half of the free memory holds
fewer at 8 KiB a pixel of a picture. Measured in fp32, with everything that tensors take beside the
weights: 0.8 KiB a pixel of the embedded pixel model, 1.0 of the latent one with its decoder, 4.0
of the paper's networks of 256 pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from ..diffusion.guide import Guide
from ..diffusion.side_by_side import SideBySide
from .settings import Settings

T = TypeVar("T")

MOST = 16
BYTES_OF_A_PIXEL, SHARE_OF_MEMORY = 8192, 0.5
MEMORY = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")
# Limit and use of a container, of both versions of control groups.
LIMITS = (
    (_CONTAINER / "memory.max", _CONTAINER / "memory.current"),
    (
        _CONTAINER / "memory/memory.limit_in_bytes",
        _CONTAINER / "memory/memory.usage_in_bytes",
    ),
)


class Shared(Protocol):
    """What is asked of a maker of pictures here."""

    def shared(self, settings: Settings) -> Hashable:
        """What the pictures of a batch have in common."""
        ...


def pictures_at_a_time(given: int | None, size: tuple[int, int], device: torch.device) -> int:
    """The size of a batch, see above.

    Args:
        given: ``--batch-size``.
        size: width and height of a picture.
        device: where the network is.
    """
    if given is not None:
        return given
    free = free_memory(device)
    if free is None:
        return MOST
    fit = int(SHARE_OF_MEMORY * free) // (BYTES_OF_A_PIXEL * size[0] * size[1])
    return min(max(fit, 1), MOST)


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device; ``None``: it does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    known = [_available(), *(_left(limit, used) for limit, used in LIMITS)]
    return min((each for each in known if each is not None), default=None)


def _available() -> int | None:
    """What Linux says that programs can have."""
    try:
        lines = MEMORY.read_text().splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return next((1024 * int(kib) for kib in found), None)


def _left(limit: Path, used: Path) -> int | None:
    """What a container's limit leaves; ``None``: there is none."""
    try:
        return max(0, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return None


def batches(
    wanted: Sequence[T], settings_of: Callable[[T], Settings], maker: Shared, size: int
) -> Iterator[list[T]]:
    """Pictures in batches; those that are made alike lie next to one another.

    Args:
        wanted: the pictures.
        settings_of: what each is made with.
        maker: what makes them.
        size: pictures at a time.
    """
    alike: dict[Settings, list[T]] = {}
    for each in wanted:
        alike.setdefault(settings_of(each), []).append(each)
    together: dict[Hashable, list[T]] = {}
    for settings, group in alike.items():
        together.setdefault(maker.shared(settings), []).extend(group)
    for group in together.values():
        # With a tolerance, the pictures of a batch share their steps.
        own = size if settings_of(group[0]).tolerance is None else 1
        for first in range(0, len(group), own):
            yield group[first : first + own]


def of_each(settings: Settings | Sequence[Settings], count: int) -> Sequence[Settings]:
    """What each of so many pictures is made with."""
    return [settings] * count if isinstance(settings, Settings) else settings


def guide_of_all(
    settings: Sequence[Settings], references: Tensor, guide_of: Callable[[Settings, Tensor], Guide]
) -> Guide:
    """The guides of a batch: one for all where all are made alike.

    Args:
        settings: of each picture.
        references: (B, ...), one for all pictures or one for each.
        guide_of: makes the guide of the pictures that are made alike, from their references.
    """
    parts: list[tuple[Guide, int]] = []
    first = 0
    for chosen, alike in itertools.groupby(settings):
        count = len(list(alike))
        own = references if len(references) == 1 else references[first : first + count]
        parts.append((guide_of(chosen, own), count))
        first += count
    return parts[0][0] if len(parts) == 1 else SideBySide(parts)
