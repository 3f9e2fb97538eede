"""What a run of guided sampling did, written down: a guide around another guide.

    x_t    state             y_0   clean reference
    x_0    clean estimate    phi   phi_N, the low-pass filter

    residual   |phi(x_0) - phi(y_0)| / |phi(y_0)|, mean over the batch

Without a :class:`Recorder` nothing is recorded and nothing costs; with one, numbers stay on the
device until the run has ended, and are read once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..diffusion.guide import Denoise, Guide, GuideRun, Run
from ..diffusion.schedule import Step
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


class RecordedRun(GuideRun):
    """One run of a guide, written down.

    Args:
        inner: the guide's own run.
        compared: the reference.
        steps: of the run.
        done: given the recording and the picture when that is finished.
    """

    def __init__(
        self,
        inner: GuideRun,
        compared: Compared,
        steps: int,
        done: Callable[[Recording, Tensor], None],
    ) -> None:
        self._inner, self._compared, self._steps, self._done = inner, compared, steps, done
        self._wanted = compared.low(compared.y_0)
        self._residuals: dict[int, Tensor] = {}
        self._matched: set[int] = set()

    @property
    def hooks(self) -> frozenset[str]:
        """Those of the guide, and the two that are looked at."""
        return self._inner.hooks | {"prediction", "end"}

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        """What the guide makes of it."""
        return self._compare(x_t, self._inner.state(x_t, step), step.index)

    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        """What the guide makes of it."""
        return self._inner.denoise(denoiser, x_t, step)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """What the guide makes of it; the residual of what it was given is noted."""
        # The last word counts: some samplers ask the network more than once in a step.
        self._residuals[step.index] = self._residual(x_0)
        return self._compare(x_0, self._inner.prediction(x_0, x_t, step), step.index)

    def mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, step: Step
    ) -> Tensor:
        """What the guide makes of it."""
        return self._inner.mean(mu, variance, x_t, x_0, step)

    def repeats(self, step: Step) -> int:
        """As often as the guide wants it."""
        return self._inner.repeats(step)

    def end(self, x_0: Tensor) -> Tensor:
        """What the guide makes of it; the recording is handed over."""
        out = self._inner.end(x_0)
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
    """A guide that does what another does, and writes it down; see :class:`.diffusion.Guide`.

    >>> recorder = Recorder(ILVR(reference), reference)
    >>> sample_with(model, recorder, shape=shape, noise=SeededNoise(0))
    >>> recorder.recording.residuals

    In a diffusers pipeline, give it to a ``GuideCallback`` and open that by ``with``.

    Args:
        guide: the method; a weight of 0 records a run without it.
        reference: what to compare with, at the size that is sampled.
        done: called with each recording, its finished picture and its run, besides.

    Attributes:
        recording: of the last run that finished its picture.
    """

    def __init__(
        self,
        guide: Guide,
        reference: Reference,
        done: Callable[[Recording, Tensor, Run], None] | None = None,
    ) -> None:
        self._guide, self._reference, self._also = guide, reference, done
        self.recording: Recording | None = None

    def begin(self, run: Run) -> RecordedRun:
        """Begin the guide's run, and the recording, also where nothing is to be matched.

        Raises:
            InputError: the guide or the reference does not fit the run.
        """
        inner = self._guide.begin(run) or GuideRun()
        y_0, mask = self._reference.placed(run)
        compared = Compared(y_0, self._reference.lowpass(run.shape), mask)

        def keep(recording: Recording, result: Tensor) -> None:
            self.recording = recording
            if self._also is not None:
                self._also(recording, result, run)

        return RecordedRun(inner, compared, len(run.schedule), keep)
