"""What a run of the host's sampler did, kept for the node that shows it.

A tape is shared by the nodes ILVR Record, which makes it, and ILVR Report, which reads it, while
the sampler between them writes on it. It holds plain numbers of the last few runs, no tensors. A
run is found again by its finished latent, so several samplers may share a tape, and it does not
matter which of them the host runs, or leaves out because nothing has changed.
"""

from __future__ import annotations

import math
from collections import deque

import torch
from torch import Tensor

from ...ilvr_latent import Recording

KEPT_RUNS = 16
# A latent is known again by so many of its numbers.
SAMPLED_NUMBERS = 1024

Fingerprint = tuple[float, ...]


class Tape:
    """Recordings of the last runs, under what they made."""

    def __init__(self) -> None:
        self._runs: deque[tuple[Fingerprint, Recording]] = deque(maxlen=KEPT_RUNS)

    def add(self, samples: Tensor, recording: Recording) -> None:
        """Keep the recording of the run that made ``samples``, a latent as samplers give it."""
        self._runs.append((fingerprint(samples), recording))

    def find(self, samples: Tensor) -> Recording | None:
        """The recording of the run that made ``samples``, if there is one."""
        wanted = fingerprint(samples)
        # Several runs may lie within what half precision takes away: the closest it is.
        alike = [run for run in reversed(self._runs) if _same(run[0], wanted)]
        closest = min(alike, key=lambda run: math.dist(run[0], wanted), default=None)
        return None if closest is None else closest[1]


def fingerprint(samples: Tensor) -> Fingerprint:
    """A latent's shape and some of its numbers."""
    flat = samples.detach().flatten()
    at = torch.linspace(0, max(len(flat) - 1, 0), SAMPLED_NUMBERS, device=flat.device).long()
    return *map(float, samples.shape), *flat[at].float().tolist()


def _same(one: Fingerprint, other: Fingerprint) -> bool:
    # Half precision may lie between the sampler and the node.
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=2e-2, abs_tol=1e-3) for a, b in zip(one, other, strict=True)
    )
