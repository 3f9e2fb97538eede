"""Where random numbers come from.

One seed policy for the whole project: noise belongs to a picture, not to its place in a batch. A
noise source is handed in, and draws in the order of the authors' code: x_T, then per sampling step
z, then, only if the state is matched, the reference's noise. Two runs with equal seeds, shapes and
devices are equal bit for bit. A run that goes back to noisier levels (:mod:`.resampling`) draws
each jump's noise when it jumps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from ..defaults import ReferenceNoise
from ..errors import InputError

__all__ = [
    "CorrectorNoise",
    "DivisibleNoise",
    "HeldNoise",
    "JumpNoise",
    "NoiseSource",
    "RecordedNoise",
    "ReferenceNoise",
    "RepeatNoise",
    "SeededNoise",
]

# Share of the matched steps after which hybrid noise stays what it is.
HYBRID_FRESH_SHARE = 0.6


class NoiseSource(Protocol):
    """Anything that gives standard normal tensors.

    ``i`` counts the network calls of the run from 0, which are its sampling steps, the noisiest
    first, unless it goes back.
    """

    def initial(self, shape: Sequence[int]) -> Tensor:
        """x_T."""
        ...

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        """z of step ``i``."""
        ...

    def reference(self, i: int, shape: Sequence[int]) -> Tensor:
        """The noise of the reference that is matched after step ``i``; -1 is x_T itself."""
        ...


@runtime_checkable
class JumpNoise(NoiseSource, Protocol):
    """A noise source for runs that go back to noisier levels."""

    def jump(self, i: int, shape: Sequence[int]) -> Tensor:
        """The noise of jump ``i`` of the run, from 0."""
        ...


class RepeatNoise(NoiseSource, Protocol):
    """A noise source for methods that take a step several times."""

    def repeat_step(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        """z of repeat ``j`` of step ``i``."""
        ...

    def renoise(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        """The noise that takes repeat ``j`` of step ``i`` back to where it started."""
        ...


@runtime_checkable
class CorrectorNoise(Protocol):
    """A noise source for Langevin dynamics."""

    def corrector(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        """z of move ``j`` at level ``i``, the noisiest first."""
        ...


def corrector_of(noise: object) -> CorrectorNoise:
    """A noise source as one for Langevin dynamics.

    Raises:
        InputError: it is none.
    """
    if not isinstance(noise, CorrectorNoise):
        raise InputError(
            "The noise source has none for Langevin moves; give it a method "
            "corrector(i, j, shape), or set corrector_steps to 0."
        )
    return noise


@runtime_checkable
class DivisibleNoise(NoiseSource, Protocol):
    """A noise source with numbers of its own for each picture of a batch."""

    def part(self, pictures: slice) -> NoiseSource:
        """The source of some pictures; what is drawn there is drawn from the whole, too."""
        ...


def noise_of_pictures(noise: NoiseSource, pictures: slice) -> NoiseSource:
    """The noise of some pictures of a batch.

    Raises:
        InputError: the source cannot be divided.
    """
    if not isinstance(noise, DivisibleNoise):
        raise InputError(
            "The noise source has none for single pictures of a batch; give it a method "
            "part(pictures), or take a SeededNoise."
        )
    return noise.part(pictures)


class SeededNoise:
    """Noise from seeds, one stream for each picture: a picture does not change with its batch.

    Args:
        seed: one for each picture, or a single one: picture k of the batch then has seed + k.
        device: where numbers are drawn. Devices have different streams.
    """

    def __init__(self, seed: int | Sequence[int], device: torch.device | str = "cpu") -> None:
        self._first = seed if isinstance(seed, int) else None
        self._device = device
        seeds = [] if isinstance(seed, int) else list(seed)
        self._generators = [self._stream(one) for one in seeds]

    def _stream(self, seed: int) -> Generator:
        return Generator(self._device).manual_seed(seed % 2**64)

    def part(self, pictures: slice) -> SeededNoise:
        """The streams of some pictures, which they go on with together."""
        self._open(pictures.stop)
        part = SeededNoise([], self._device)
        part._generators = self._generators[pictures]
        return part

    def _open(self, count: int) -> None:
        """Streams from the single seed, for so many pictures."""
        if self._first is not None:
            begun = len(self._generators)
            self._generators += [self._stream(self._first + k) for k in range(begun, count)]

    def _draw(self, shape: Sequence[int]) -> Tensor:
        self._open(shape[0])
        if shape[0] != len(self._generators):
            raise InputError(
                f"There are {len(self._generators)} seeds for a batch of {shape[0]}; "
                "give one seed for each picture, or a single integer."
            )
        drawn = [
            torch.randn((1, *shape[1:]), generator=g, device=g.device) for g in self._generators
        ]
        return drawn[0] if len(drawn) == 1 else torch.cat(drawn)

    def initial(self, shape: Sequence[int]) -> Tensor:
        """The next numbers of each stream."""
        return self._draw(shape)

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        """The next numbers of each stream."""
        return self._draw(shape)

    def reference(self, i: int, shape: Sequence[int]) -> Tensor:
        """The next numbers of each stream."""
        return self._draw(shape)

    def jump(self, i: int, shape: Sequence[int]) -> Tensor:
        """The next numbers of each stream."""
        return self._draw(shape)

    def repeat_step(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        """The next numbers of each stream."""
        return self._draw(shape)

    def renoise(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        """The next numbers of each stream."""
        return self._draw(shape)

    def corrector(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        """The next numbers of each stream."""
        return self._draw(shape)


class RecordedNoise:
    """Noise that was written down, to repeat a run exactly.

    Args:
        x_T: (B, C, H, W).
        z: one tensor for each network call, which is a sampling step unless the run goes back.
        reference: one tensor for each call whose result is matched, under the number of the call.
        jumps: one tensor for each jump, for runs that go back.
    """

    def __init__(
        self,
        x_T: Tensor,
        z: Sequence[Tensor],
        reference: dict[int, Tensor],
        jumps: Sequence[Tensor] = (),
    ) -> None:
        self._x_T, self._z, self._reference, self._jumps = x_T, z, reference, jumps

    def initial(self, shape: Sequence[int]) -> Tensor:
        """The recorded x_T."""
        return self._x_T.expand(tuple(shape))

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        """The recorded z of step ``i``."""
        return self._z[i].expand(tuple(shape))

    def reference(self, i: int, shape: Sequence[int]) -> Tensor:
        """The recorded reference noise of step ``i``."""
        return self._reference[i].expand(tuple(shape))

    def jump(self, i: int, shape: Sequence[int]) -> Tensor:
        """The recorded noise of jump ``i``."""
        return self._jumps[i].expand(tuple(shape))


class HeldNoise:
    """The reference's noise of one run: fresh at each matched step up to a point, then held.

    Fresh noise follows the reference best but loses low-band energy when the range ends early;
    noise held from the start keeps the energy and follows less. Held after the first 60 % of the
    matched steps, it keeps both. A run that goes back takes steps again: unless the noise is fixed,
    those that drew it draw anew, and the others keep what was drawn last.

    Args:
        noise: where fresh numbers come from.
        kind: ``fresh`` (the paper), ``fixed`` (one draw for the run) or ``hybrid``.
        matched_steps: how many steps of the run are matched.
    """

    def __init__(self, noise: NoiseSource, kind: ReferenceNoise, matched_steps: int) -> None:
        shares = {"fresh": 1.0, "fixed": 0.0, "hybrid": HYBRID_FRESH_SHARE}
        if kind not in shares:
            raise InputError(f"The reference noise is {kind!r}; use one of {list(shares)}.")
        self._noise = noise
        self._draws_left = max(1, round(shares[kind] * matched_steps))
        self._draws_again = kind != "fixed"
        self._fresh: set[int] = set()
        self._held: Tensor | None = None
        self._held_at: tuple[int, int] | None = None

    def __call__(self, i: int, shape: Sequence[int], gone_back: int = 0) -> Tensor:
        """The reference's noise, the same however often one visit of a step asks for it.

        Args:
            i: the step that produced the state; -1 for x_T.
            shape: of the state.
            gone_back: levels that the run has gone back so far.
        """
        again = self._draws_again and gone_back > 0 and i in self._fresh
        at = i, gone_back
        if self._held is None or (at != self._held_at and (again or self._draws_left > 0)):
            self._held, self._held_at = self._noise.reference(i + gone_back, shape), at
            self._draws_left -= not again
            self._fresh.add(i)
        return self._held
