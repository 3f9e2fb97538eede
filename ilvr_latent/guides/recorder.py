"""What a run of guided sampling did, written down: a guide around another guide.

    x_t    state             y_0   clean reference
    x_0    clean estimate    phi   phi_N, the low-pass filter

    residual   |phi(x_0) - phi(y_0)| / |phi(y_0)|, mean over the batch

Without a :class:`Recorder` nothing is recorded and nothing costs; with one, numbers stay on the
device until the run has ended, and are read once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from ..diffusion.guide import Guide
from ..diffusion.noise import NoiseSource
from ..diffusion.schedule import Schedule, Step
from .lowpass import LowPass
from .reference import Reference
from .spectrum import frequencies, radial_power_spectrum


@dataclass(frozen=True)
class Recording:
    """One run that finished its picture, in plain numbers.

    A place is a number of steps taken: 0 is the pure noise, ``steps`` the finished picture.

    Attributes:
        factor: N.
        steps: how many there were.
        residuals: under its place, the residual of what the network thought the picture was, before
            the guide changed that; last, that of the finished picture.
        matched: the places at which the guide changed the state or the estimate, ascending.
        frequencies: of the spectra, in cycles per pixel (or latent cell).
        reference: power of y_0 at each frequency, see :mod:`ilvr_latent.guides.spectrum`.
        unmatched: that of the finished picture before its own match.
        result: and after it.
    """

    factor: float
    steps: int
    residuals: dict[int, float]
    matched: tuple[int, ...]
    frequencies: tuple[float, ...]
    reference: tuple[float, ...]
    unmatched: tuple[float, ...]
    result: tuple[float, ...]


class _HasIndex(Protocol):
    @property
    def index(self) -> int: ...


_Step = TypeVar("_Step", bound=_HasIndex, contravariant=True)


class _GuideRun(Protocol[_Step]):
    """:class:`ilvr_latent.GuideRun`, whatever a step is to the driver."""

    def state(self, x_t: Tensor, step: _Step) -> Tensor: ...
    def prediction(self, x_0: Tensor, x_t: Tensor, step: _Step) -> Tensor: ...
    def end(self, x_0: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Compared:
    """The reference of a run, to compare with.

    Attributes:
        y_0: (B, C, ..., H, W) on the device of the run.
        lowpass: phi_N.
        mask: where to compare, broadcastable to ``y_0``, or ``None``.
    """

    y_0: Tensor
    lowpass: LowPass
    mask: Tensor | None = None

    def low(self, x: Tensor) -> Tensor:
        """phi(x) where it is compared, fp32."""
        low = self.lowpass(x.float())
        return low if self.mask is None else low * self.mask


class RecordedRun:
    """One run of a guide, written down; see :class:`ilvr_latent.GuideRun`.

    Args:
        inner: the guide's own run, or ``None`` where it does nothing.
        compared: the reference.
        steps: of the run.
        done: given the recording and the picture when that is finished.
    """

    def __init__(
        self,
        inner: _GuideRun[Any] | None,
        compared: Compared,
        steps: int,
        done: Callable[[Recording, Tensor], None],
    ) -> None:
        self._inner, self._compared, self._steps, self._done = inner, compared, steps, done
        self._wanted = compared.low(compared.y_0)
        self._residuals: dict[int, Tensor] = {}
        self._matched: set[int] = set()

    def state(self, x_t: Tensor, step: _HasIndex) -> Tensor:
        """What the guide makes of it."""
        out = x_t if self._inner is None else self._inner.state(x_t, step)
        return self._compare(x_t, out, step.index)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: _HasIndex) -> Tensor:
        """What the guide makes of it; the residual of what it was given is noted."""
        # The last word counts: some samplers ask the network more than once in a step.
        self._residuals[step.index] = self._residual(x_0)
        out = x_0 if self._inner is None else self._inner.prediction(x_0, x_t, step)
        return self._compare(x_0, out, step.index)

    def end(self, x_0: Tensor) -> Tensor:
        """What the guide makes of it; the recording is handed over."""
        out = x_0 if self._inner is None else self._inner.end(x_0)
        self._compare(x_0, out, self._steps)
        self._residuals[self._steps] = self._residual(out)
        self._done(self._recording(x_0, out), out)
        return out

    def _compare(self, given: Tensor, out: Tensor, place: int) -> Tensor:
        """Doing nothing is returning what was given: that is how a match shows."""
        if out is not given:
            self._matched.add(place)
        return out

    def _residual(self, x_0: Tensor) -> Tensor:
        distance = _norms(self._compared.low(x_0) - self._wanted)
        return (distance / _norms(self._wanted).clamp(min=1e-12)).mean()

    def _recording(self, unmatched: Tensor, result: Tensor) -> Recording:
        places = sorted(self._residuals)
        values = torch.stack([self._residuals[place] for place in places]).tolist()
        spectra = [
            tuple(radial_power_spectrum(x).tolist())
            for x in (self._compared.y_0, unmatched, result)
        ]
        return Recording(
            self._compared.lowpass.factor,
            self._steps,
            dict(zip(places, values, strict=True)),
            tuple(sorted(self._matched)),
            tuple(frequencies(min(result.shape[-2:]))),
            *spectra,
        )


def _norms(x: Tensor) -> Tensor:
    """Of each picture of a batch, (B,)."""
    norms: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return norms


class Recorder:
    """A guide that does what another does, and writes it down; see :class:`ilvr_latent.Guide`.

    >>> recorder = Recorder(ILVR(reference), reference)
    >>> sample_with(model, recorder, shape=shape, noise=SeededNoise(0))
    >>> recorder.recording.residuals

    In a diffusers pipeline, give it to a ``GuideCallback`` and open that by ``with``.

    Args:
        guide: the method; a weight of 0 records a run without it.
        reference: what to compare with, at the size that is sampled.
        done: called with each recording, besides.

    Attributes:
        recording: of the last run that finished its picture.
    """

    def __init__(
        self,
        guide: Guide,
        reference: Reference,
        done: Callable[[Recording], None] | None = None,
    ) -> None:
        self._guide, self._reference, self._also = guide, reference, done
        self.recording: Recording | None = None

    def begin(
        self, schedule: Schedule, shape: Sequence[int], device: torch.device, noise: NoiseSource
    ) -> RecordedRun:
        """Begin the guide's run, and the recording.

        Raises:
            InputError: the guide or the reference does not fit the run.
        """
        inner: _GuideRun[Step] = self._guide.begin(schedule, shape, device, noise)
        y_0, mask = self._reference.placed(shape, device)
        compared = Compared(y_0, self._reference.lowpass, mask)
        return RecordedRun(inner, compared, len(schedule), self._keep)

    def _keep(self, recording: Recording, result: Tensor) -> None:
        self.recording = recording
        if self._also is not None:
            self._also(recording)
