"""What a sampler of the host does with its state, found by trying it out.

Names do not tell: other packs wrap the host's samplers, and have samplers of their own. So each is
run for four steps on a few numbers, with a denoiser that knows the answer, and once more with a
change to every state that the denoiser is given.

    x_0    the answer: 0, or 1 where the signal is looked for
    kept   the share of a change that is in the last state, both relative to their noise levels
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SamplerFunction = Callable[..., Tensor]

# Near enough that multistep methods do not overshoot, far enough that trial states are seen.
LEVELS = tuple(0.9 * 0.6**i for i in range(5))
# Each call changes a channel of its own; the last channel is changed at the start.
CALLS, SIZE, SEED = 32, 4, 0
CHANGE = 0.01
# Heun's slope at a trial state takes off a third of the change that is made there, and more where
# levels lie farther apart; what heunpp2 takes off, a fifth, is bounded.
TAKEN_OFF, NOTHING = 0.27, 1e-4
# How far a state may be off a x_0 + sigma eps in its share of x_0.
OFF = 0.1


@dataclass(frozen=True)
class Conduct:
    """What a sampler does with its state.

    Attributes:
        keeps_state: it goes on, soundly, with the state that it gave to the denoiser.
        at_its_level: its trial states, if it has any, are at the level that it names.
    """

    keeps_state: bool = True
    at_its_level: bool = True


def conduct(
    function: SamplerFunction, options: dict[str, Any], guider: Any, *, ndim: int, flow: bool
) -> Conduct:
    """Try a sampler out.

    Args:
        function: of the host's ``KSAMPLER``; wrapped or not.
        options: of the sampler.
        guider: of the run, which samplers ask about the model.
        ndim: of what is sampled.
        flow: the states are (1 - sigma) x_0 + sigma eps, else x_0 + sigma eps.

    Returns:
        What it does; where it cannot be tried, what most samplers do.
    """
    for tried in dict.fromkeys((inspect.unwrap(function), function)):
        try:
            return _Trial(tried, options, guider, ndim, flow).conduct()
        except comfy.model_management.InterruptProcessingException:
            raise
        except Exception as error:
            # Whatever a sampler of another pack raises here: the run itself will show it.
            logger.debug("%r could not be tried out: %s", tried, error)
    return Conduct()


@dataclass(frozen=True)
class _Trial:
    function: SamplerFunction
    options: dict[str, Any]
    guider: Any
    ndim: int
    flow: bool

    def conduct(self) -> Conduct:
        plain = self._run()
        # Only where there are trial states: no step begins from what is off there.
        looked_for = self.flow and len(plain.levels) >= len(LEVELS)
        return Conduct(
            keeps_state=_keeps_state(plain, self._run(change=CHANGE)),
            at_its_level=not looked_for or _is_at_its_level(plain, self._run(x_0=1.0)),
        )

    def _run(self, x_0: float = 0.0, change: float = 0.0) -> _Denoiser:
        denoiser = _Denoiser(self.guider, x_0, change)
        alpha = 1 - LEVELS[0] if self.flow else 1.0
        start = torch.full((1, CALLS + 1, *[SIZE] * (self.ndim - 2)), alpha * x_0 + LEVELS[0])
        start[:, -1] += change * LEVELS[0]
        options: dict[str, Any] = {"transformer_options": {}}
        asked = {"model_options": options, "denoise_mask": None, "seed": SEED}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            last = self.function(
                denoiser, start, torch.tensor(LEVELS), extra_args=asked, callback=None,
                disable=True, **self.options,
            )  # fmt: skip
        denoiser.last = last.transpose(0, 1).flatten(1).mean(1)
        return denoiser


class _Denoiser:
    """Stands in for the host's, and remembers what it was asked."""

    def __init__(self, guider: Any, x_0: float, change: float) -> None:
        self.inner_model, self._x_0, self._change = guider, x_0, change
        self.levels: list[float] = []
        self.states: list[float] = []
        self.last: Tensor = torch.empty(0)

    def __call__(self, x: Tensor, sigma: Tensor, **kwargs: Any) -> Tensor:
        level, call = float(sigma.flatten()[0]), len(self.levels)
        self.levels.append(level)
        self.states.append(float(x.mean()))
        if call < CALLS:
            # In place, as a guide's.
            x[:, call] += self._change * level
        x_0 = torch.full_like(x, self._x_0)
        # CFG++ samplers take the unconditional prediction here.
        for look in kwargs.get("model_options", {}).get("sampler_post_cfg_function", ()):
            x_0 = look({"denoised": x_0, "cond_denoised": x_0, "uncond_denoised": x_0})
        return x_0


def _keeps_state(plain: _Denoiser, changed: _Denoiser) -> bool:
    if plain.levels != changed.levels:
        # It chooses its levels by its error, to which the change belongs.
        return True
    kept = (changed.last - plain.last) / (CHANGE * LEVELS[-1])
    of_calls, of_the_start = kept[1 : len(plain.levels)], kept[-1]
    lost = bool(of_calls.max() < NOTHING) and bool(of_the_start > NOTHING)
    return not lost and bool(of_calls.min() > -TAKEN_OFF)


def _is_at_its_level(empty: _Denoiser, full: _Denoiser) -> bool:
    if empty.levels != full.levels:
        return True
    at = zip(empty.levels, full.states, empty.states, strict=True)
    shares = [(with_x_0 - without) / (1 - level) for level, with_x_0, without in at]
    return all(abs(share - 1) < OFF for share in shares)
