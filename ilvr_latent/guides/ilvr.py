"""ILVR: Conditioning Method for Denoising Diffusion Probabilistic Models, arXiv 2108.02938.

Algorithm 1. For t = T .. 1:

    x'_{t-1} ~ p(x_{t-1} | x_t)                       the sampler's own step
    y_{t-1}  ~ q(y_{t-1} | y_0)                       the reference at that noise level
    x_{t-1}  = phi(y_{t-1}) + x'_{t-1} - phi(x'_{t-1})     eq. 8

    x_t     state            y_0    clean reference      w     weight
    x_0     clean estimate   y_t    noised reference     phi   phi_N, the low-pass filter

Two spaces of matching: ``state`` is the algorithm above; ``prediction`` matches the network's
estimate of x_0 with y_0 at every step, the range-null-space form of DDNM (arXiv 2212.00490), which
does not depend on the sampler's noise.

In every driver a state is matched just before the network sees it, which is just after the step
that produced it. Which of these states the window means is its ``gate``; the paper's leaves x_T.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import get_args

import torch
from torch import Tensor

from ..diffusion.guide import GuideRun, Run
from ..diffusion.noise import HeldNoise, ReferenceNoise
from ..diffusion.schedule import Step
from ..errors import InputError, check_choice
from .bands import BANDS
from .ilvr_in_words import in_words
from .lowpass import LowPass, MergeRule, merge
from .reference import Reference, Space
from .weight import weight_at
from .window import Window

__all__ = ["ILVR", "ILVRRun", "Reference", "Space", "Window"]

Target = tuple[LowPass, "float | Tensor", Tensor]
"""What :func:`merge` needs to match with one reference: phi, weight and y."""

# How far, of their size, low frequencies move where a sampler goes on from its last prediction.
WENT_ON = 1e-3


class ILVR:
    """ILVR with its settings; see :class:`ilvr_latent.diffusion.Guide`.

    Args:
        references: one or more. Where they overlap in a step they are averaged by weight and
            mask; where they do not, they act side by side.
        space: of all references, in place of their own.
        reference_noise: of all references, in place of their own.
        merge: ``average``, or ``min_norm``: in place of the average, each image and channel goes
            by the shortest change in the hull of what its references ask for, as SDDM merges
            directions (arXiv 2308.02154): what they agree on, and against none of them.

    Raises:
        InputError: no reference, or an unknown setting.
    """

    def __init__(
        self,
        references: Reference | Sequence[Reference],
        *,
        space: Space | None = None,
        reference_noise: ReferenceNoise | None = None,
        merge: MergeRule = "average",
    ) -> None:
        check_choice("merge of references", merge, get_args(MergeRule))
        self.merge: MergeRule = merge
        given = (references,) if isinstance(references, Reference) else tuple(references)
        if not given:
            raise InputError("There is no reference; give at least one.")
        self.references = tuple(
            dataclasses.replace(one, space=space or one.space, noise=reference_noise or one.noise)
            for one in given
        )

    def begin(self, run: Run) -> ILVRRun | None:
        """Place the references and find the steps they match; ``None`` where they match none.

        Raises:
            InputError: a reference does not fit the run, or its window holds no step.
        """
        placed = [Placed(reference, run) for reference in self.references]
        for one in placed:
            run.tell(in_words(one))
        active = [one for one in placed if one.weights or one.weight_at_end]
        return self.run(active, run) if active else None

    def run(self, placed: Sequence[Placed], run: Run) -> ILVRRun:
        """One run with the references that match something."""
        return ILVRRun(placed, run, self.merge)


class Placed:
    """A reference during one run: at its size, on its device, with the steps it matches.

    Attributes:
        reference: with its settings.
        noise: the kind of noise it is given.
        weights: of each step of the schedule whose state is matched, by index.
        weight_at_end: of the finished picture.
        y_0: its picture, (B, C, ..., H, W).
        area: where, or ``None``: everywhere.
        lowpass: phi_N.
        share: N as a share of the shorter side.
        cell: pixels along a side of a cell of the sampled tensor.
        frames: how many pictures of the batch are the frames of a clip, or ``None``: none are.
        steps: of the run.
    """

    def __init__(self, reference: Reference, run: Run) -> None:
        self.reference = reference
        self.noise = reference.noise or run.reference_noise
        self.weights = reference.step_weights(run)
        self.weight_at_end = self._weight_at_end(run)
        self.y_0, self.area = reference.placed(run)
        self.lowpass = reference.lowpass(run.shape)
        self.share = self.lowpass.factor / min(run.shape[-2:])
        self.cell = run.cell
        self.frames = run.shape[0] if reference.takes_batch_for_clip(run.shape) else None
        self.steps = len(run.schedule)
        self._window = reference.window.clipped(self.steps)
        self._by_level = self._window.gate == "level"
        self._other_weights: dict[int, float] = {}

    def _weight_at_end(self, run: Run) -> float:
        reference, steps = self.reference, len(run.schedule)
        if run.schedule.after is not None:
            return 0.0
        if reference.window.gate == "producing":
            return self.weights.get(steps - 1, 0.0)
        return weight_at(reference.weight, 1.0) if reference.window.reaches_the_end(steps) else 0.0

    def weight_of_state(self, step: Step) -> float:
        """Of the state that the network is about to see at ``step``; 0 outside the window."""
        if self._by_level:
            return self.weight_of_prediction(step)
        return self.weights.get(step.index - 1, 0.0)

    def weight_of_prediction(self, step: Step) -> float:
        """Of what the network makes of that state."""
        if not self._by_level:
            return self.weights.get(step.index, 0.0)
        # A sampler may ask the network between its steps, so the level itself is asked.
        return self._weight_of_level(step) if self._window.contains(step) else 0.0

    def _weight_of_level(self, step: Step) -> float:
        known = self.weights.get(step.index)
        if known is None:
            known = self._other_weights.get(step.index)
        if known is None:
            known = self.reference.weight_of(step, self.steps)
            self._other_weights[step.index] = known
        return known

    def clean(self, weight: float) -> Target:
        """To match a clean picture."""
        return self.lowpass, self._in_area(weight), self.y_0

    def noised(self, weight: float, level: Step, eps: Tensor) -> Target:
        """To match a state at a noise level."""
        return self.lowpass, self._in_area(weight), level.noised(self.y_0, eps)

    def size(self, x: Tensor) -> Tensor:
        """Of phi(x), for each picture of the batch; that of the clip, where the batch is one."""
        sizes: Tensor = torch.linalg.vector_norm(self.lowpass(x.float()).flatten(1), dim=1)
        return sizes if self.frames is None else torch.linalg.vector_norm(sizes).expand(self.frames)

    def _in_area(self, weight: float) -> float | Tensor:
        return weight if self.area is None else weight * self.area


class ILVRRun(GuideRun):
    """One run of ILVR.

    Args:
        placed: the references that match something.
        run: where they are placed.
        rule: how references that overlap are merged.
    """

    def __init__(self, placed: Sequence[Placed], run: Run, rule: MergeRule = "average") -> None:
        self._run, self._placed, self._rule = run, placed, rule
        shown = "state" in run.hooks
        self._in_state = [one for one in placed if shown and one.reference.space == "state"]
        self._in_prediction = [one for one in placed if one.reference.space == "prediction"]
        if not (shown and run.keeps_state):
            # The match of the state would be lost or do harm, so the prediction carries it on.
            self._in_prediction = list(placed)
        self._noise = {
            kind: HeldNoise(run.noise, kind, len(_matched(self._in_state, kind)))
            for kind in dict.fromkeys(one.noise for one in self._in_state)
        }
        self._frames = next((one.frames for one in placed if one.frames), None)
        self._last: Tensor | None = None  # matched prediction

    @property
    def hooks(self) -> frozenset[str]:
        """Those of the spaces that are matched in."""
        of_state = {"state"} if self._in_state else set[str]()
        return frozenset({"end"} | of_state | ({"prediction"} if self._in_prediction else set()))

    def merged(self, other: GuideRun) -> GuideRun | None:
        """The references of both, merged where they overlap."""
        if type(other) is not type(self) or other._rule != self._rule:
            return None
        return type(self)([*self._placed, *other._placed], self._run, self._rule)

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        """Eq. 8, each reference noised to the level of the state."""
        targets = []
        for one in self._in_state:
            if weight := one.weight_of_state(step):
                held = self._noise[one.noise]
                eps = held(step.index - 1, x_t.shape, step.gone_back).to(x_t.device)
                targets.append(one.noised(weight, self.level(step), eps))
        return self._merged(x_t, targets)

    def level(self, step: Step) -> Step:
        """The noise level that a reference is given to match the state before ``step``."""
        return step

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """x_0 + w phi(y_0 - x_0)."""
        weighted = ((one, one.weight_of_prediction(step)) for one in self._in_prediction)
        self._last = self._merged(x_0, [one.clean(weight) for one, weight in weighted if weight])
        return self._last

    def end(self, x_0: Tensor) -> Tensor:
        """The last of eq. 8: the finished picture with the clean reference.

        The last prediction was matched, but some samplers do not end there: they stop above level
        0, or add older predictions.
        """
        ended = [one for one in self._placed if one.weight_at_end]
        in_state = [one for one in ended if one in self._in_state]
        matched = self._merged(x_0, [_at_end(one) for one in in_state])
        late = [one for one in ended if one not in in_state]
        if self._last is None or not late:
            return matched
        again = self._merged(matched, [_at_end(one) for one in late])
        return torch.where(self._went_on(late, x_0, self._last), again, matched)

    @staticmethod
    def _went_on(late: Sequence[Placed], x_0: Tensor, last: Tensor) -> Tensor:
        """Of each picture, whether its low frequencies are others than those of ``last``."""
        moved, size = (
            torch.stack([one.size(x) for one in late]).amax(0) for x in (x_0 - last, last)
        )
        return (moved > WENT_ON * size).reshape(-1, *[1] * (x_0.ndim - 1))

    def _merged(self, x: Tensor, targets: Sequence[Target]) -> Tensor:
        """Band by band: references are averaged with those of their own band."""
        if self._frames not in (None, len(x)):
            raise InputError(
                f"This sampler shows {len(x)} pictures at a time, but the batch is a clip of "
                f"{self._frames} frames, which are held together; use another sampler, or leave "
                "frames_factor and the weights of frames out."
            )
        for band in BANDS.values():
            x = merge(x, [one for one in targets if type(one[0]) is band], self._rule)
        return x


def _at_end(one: Placed) -> Target:
    return one.clean(one.weight_at_end)


def _matched(placed: Iterable[Placed], kind: ReferenceNoise) -> set[int]:
    """The steps in which noise of a kind is needed."""
    return set[int]().union(*(one.weights for one in placed if one.noise == kind))
