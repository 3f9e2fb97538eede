"""The one shape of every method of guidance, known to every driver.

A driver (the pixel sampler, ComfyUI's samplers, a diffusers pipeline) makes a :class:`Run`, gives
it to :meth:`Guide.begin` and talks to the :class:`GuideRun` it is given, at these places of a step:

    x_t    state             x_0   clean estimate        mu, variance   of p(x_{t-1} | x_t)

    x_t  -> state -> denoise (the network) -> prediction -> [mean ->] x_{t-1}   ...   end

All state of a run lives in the run, so one guide serves many runs, also at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from .. import defaults
from ..errors import InputError
from .noise import NoiseSource, ReferenceNoise, noise_of_pictures
from .schedule import Schedule, Step


@dataclass(frozen=True)
class Denoise:
    """x_t, at the level of the step, to the clean estimate that the network has of it.

    Attributes:
        unclipped: the estimate as it is.
        clip: calling clamps it to [-1, 1], as the run does.
    """

    unclipped: Callable[[Tensor], Tensor]
    clip: bool = False

    def __call__(self, x_t: Tensor) -> Tensor:
        """The clean estimate, (B, ...)."""
        x_0 = self.unclipped(x_t)
        return x_0.clamp(-1, 1) if self.clip else x_0


HOOKS = ("state", "denoise", "prediction", "mean", "repeats", "end")


def _silent(text: str) -> None:
    """Where there is nobody to tell."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a sampler, as a guide needs to know it; drivers derive their own.

    Attributes:
        schedule: the steps that will be taken, and the level that they end at.
        shape: (B, C, ..., H, W) of the state.
        device: where the state lives.
        noise: where random numbers come from.
        hooks: what this driver offers of a guide; a guide may choose its way by it.
        keeps_state: the sampler goes on, soundly, with the state that it gave to the network.
        inpainting_area: 1 where the picture may change, or ``None``: everywhere.
        reference_noise: of references that do not say; see
            :class:`~ilvr_latent.diffusion.noise.HeldNoise`.
        cell: pixels of the picture to one number of the state, along a side.
        may_be_a_stage: the run may be one of several that make a picture, so that a range without
            a step is no mistake.
        is_whole_batch: the pictures are all of a batch, in its order, so that they may be the
            frames of one clip.
        tell: shows a line of text to the user, where there is a place for it; a
            :class:`~ilvr_latent.phrases.Phrase` in the user's language.
    """

    schedule: Schedule
    shape: Sequence[int]
    device: torch.device
    noise: NoiseSource
    hooks: frozenset[str] = frozenset(HOOKS)
    keeps_state: bool = True
    inpainting_area: Tensor | None = None
    reference_noise: ReferenceNoise = defaults.NOISE
    cell: int = 1
    may_be_a_stage: bool = False
    is_whole_batch: bool = True
    tell: Callable[[str], None] = _silent

    def picture(self, image: Tensor) -> Tensor:
        """A reference's picture as the states of this run hold pictures, at their size."""
        return image

    def area(self, mask: Tensor) -> Tensor:
        """A mask that broadcasts to the states of this run."""
        return mask

    def area_of_frames(self, mask: Tensor) -> Tensor:
        """The same, where the pictures of the batch are the frames of a clip."""
        return self.area(mask)

    def with_pictures(self, pictures: slice) -> Self:
        """The run of some pictures of its batch, with the noise that is theirs.

        Raises:
            InputError: the noise source cannot be divided.
        """
        shape, area = tuple(self.shape), self.inpainting_area
        return dataclasses.replace(
            self,
            shape=(len(range(shape[0])[pictures]), *shape[1:]),
            noise=noise_of_pictures(self.noise, pictures),
            inpainting_area=None if area is None else of_pictures(area, pictures, shape[0]),
        )


def of_pictures(x: Tensor, pictures: slice, batch: int) -> Tensor:
    """What of a tensor belongs to some pictures of a batch; all of it where it is one for all."""
    return x[pictures] if x.ndim and len(x) == batch else x


class GuideRun:
    """What a method does during one run: nothing, until a hook is overridden.

    Doing nothing is returning the first argument itself.
    """

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        """The state, before the network sees it at ``step``."""
        return x_t

    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        """x_0 through the network: for gradients (:func:`.gradients.gradient`) and more calls."""
        return denoiser(x_t)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """What the network thinks the clean picture is at ``step``."""
        return x_0

    def mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, step: Step
    ) -> Tensor:
        """The posterior mean, before the noise; only where the sampler has one (DDPM).

        All of these are variance preserving (alpha^2 + sigma^2 = 1), whatever the driver's scale.
        """
        return mu

    def repeats(self, step: Step) -> int:
        """How often the step is taken in all; the state is noised again in between."""
        return 1

    def end(self, x_0: Tensor) -> Tensor:
        """The finished picture, after the last step."""
        return x_0

    @property
    def hooks(self) -> frozenset[str]:
        """The hooks that do something."""
        own = type(self)
        return frozenset(
            name for name in HOOKS if getattr(own, name) is not getattr(GuideRun, name)
        )

    def merged(self, other: GuideRun) -> GuideRun | None:
        """Both as one run, where their order must not matter; ``None``: one after the other."""
        return None


class Guide(Protocol):
    """A method with its settings, before a run."""

    def begin(self, run: Run) -> GuideRun | None:
        """Check the settings against the run and prepare it.

        Returns:
            ``None`` where nothing is to be done in it.

        Raises:
            InputError: the settings do not fit the run.
        """
        ...


class Guides:
    """Several guides as one, each given what the one before made; a :class:`Guide`.

    Runs that can be merged (ILVRs) act together, whatever stands between them.

    Args:
        guides: in the order in which they act.
    """

    def __init__(self, *guides: Guide) -> None:
        self.guides = guides

    def begin(self, run: Run) -> GuideRun | None:
        """Begin all of them.

        Raises:
            InputError: one of them does not fit the run.
        """
        begun: list[GuideRun] = []
        for guide in self.guides:
            own = guide.begin(run)
            if own is None:
                continue
            for place, earlier in enumerate(begun):
                if (both := earlier.merged(own)) is not None:
                    begun[place] = both
                    break
            else:
                begun.append(own)
        if len(begun) < 2:
            return begun[0] if begun else None
        return _Chain(begun)


class _Chain(GuideRun):
    """Runs one after the other."""

    def __init__(self, runs: Sequence[GuideRun]) -> None:
        self._runs = runs

    @property
    def hooks(self) -> frozenset[str]:
        return frozenset[str]().union(*(run.hooks for run in self._runs))

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        for run in self._runs:
            x_t = run.state(x_t, step)
        return x_t

    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        for run in self._runs:
            denoiser = _bound(run, denoiser, step)
        return denoiser(x_t)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        for run in self._runs:
            x_0 = run.prediction(x_0, x_t, step)
        return x_0

    def mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, step: Step
    ) -> Tensor:
        for run in self._runs:
            mu = run.mean(mu, variance, x_t, x_0, step)
        return mu

    def repeats(self, step: Step) -> int:
        return max(run.repeats(step) for run in self._runs)

    def end(self, x_0: Tensor) -> Tensor:
        for run in self._runs:
            x_0 = run.end(x_0)
        return x_0


def _bound(run: GuideRun, denoiser: Denoise, step: Step) -> Denoise:
    """The network as it is behind a guide."""
    return Denoise(lambda x_t: run.denoise(denoiser, x_t, step))


WHERE: dict[str, str] = {
    "state": "another sampler (of flow models, euler or dpmpp_2m)",
    "denoise": "the pixel sampler (sample_with, ilvr sample) and ComfyUI",
    "prediction": "the pixel sampler, ComfyUI, and diffusers by 'with callback:'",
    "mean": "the pixel sampler with ddpm and ComfyUI's ADM Sampler",
    "repeats": "the pixel sampler (sample_with, ilvr sample)",
}


def begun(guide: Guide | None, run: Run) -> GuideRun:
    """A guide's run, of which the driver can offer all that it needs.

    Args:
        guide: ``None`` does nothing.
        run: as the driver made it.

    Raises:
        InputError: the guide does not fit the run, or needs what the driver has not.
    """
    own = None if guide is None else guide.begin(run)
    if own is None:
        return GuideRun()
    missing = sorted(own.hooks - run.hooks)
    if missing:
        where = WHERE.get(missing[0], "the pixel sampler")
        raise InputError(
            f"{type(guide).__name__} works on the {missing[0]} of a step, which this sampler does "
            f"not offer to guides; use it with {where}."
        )
    return own
