"""ComfyUI's noise levels as the core's schedule and steps.

x_t = alpha x_0 + sigma eps        alpha, sigma    what the host's noise_scaling does to 1 and 0
level                              the host's own "sigma", which it counts noise levels by
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..ilvr_latent.diffusion.schedule import Schedule, Step

# How exactly a noise level is turned back into a fraction: to less than a timestep of a thousand.
FRACTION_BITS = 14


class HostStep(Step):
    """One call of the network; what nobody asks for is not computed."""

    def __init__(
        self, levels: HostSchedule, index: int, level: float, tensor: Tensor, gone_back: int = 0
    ) -> None:
        # Not through the fields of the base: here they are found when they are asked for.
        own = {"index": index, "gone_back": gone_back, "level": level}
        vars(self).update(own, _levels=levels, _tensor=tensor)

    level: float
    _levels: HostSchedule
    _tensor: Tensor

    @cached_property
    def alpha(self) -> float:
        """Factor of the clean latent."""
        return self._levels.scaled(self.level, eps=0.0, x_0=1.0)

    @cached_property
    def sigma(self) -> float:
        """Factor of the noise."""
        return self._levels.scaled(self.level, eps=1.0, x_0=0.0)

    @cached_property
    def t(self) -> int:
        """The model's own timestep."""
        return round(float(self._levels.model_sampling.timestep(torch.tensor(self.level))))

    @cached_property
    def fraction(self) -> float:
        """Position in the forward process, 0 (the noisiest) to 1."""
        return self._levels.fraction_at(self.level)

    @property
    def is_clean(self) -> bool:
        """Whether there is no noise at this level."""
        return self.level == 0

    def between(self, start: float, end: float) -> bool:
        """As other nodes count: by the noise levels of the two fractions."""
        low, high = self._levels.level_at(end), self._levels.level_at(start)
        return low <= self.level <= high

    def noised(self, y_0: Tensor, eps: Tensor) -> Tensor:
        """A clean latent at this noise level, for eps, v and flow models alike."""
        noised: Tensor = self._levels.model_sampling.noise_scaling(self._tensor, eps, y_0)
        return noised


class HostSchedule(Schedule):
    """The SIGMAS of a run.

    Args:
        sigmas: descending; 0 at the end where the run finishes the picture.
        model_sampling: of the model.
    """

    def __init__(self, sigmas: Tensor, model_sampling: Any) -> None:
        self.model_sampling = model_sampling
        self.sigmas: tuple[float, ...] = tuple(sigmas.tolist())
        self._level_at: dict[float, float] = {}
        at = [HostStep(self, i, s, sigmas[i : i + 1]) for i, s in enumerate(self.sigmas)]
        self.steps = tuple(at[:-1])
        self._a_bar = None
        self.after = at[-1] if self.sigmas and self.sigmas[-1] > 0 else None

    def step(self, sigma: Tensor, gone_back: int = 0) -> HostStep:
        """The step of a network call at ``sigma`` (B,), after so many steps were gone back."""
        # The one scalar that a call reads from the device.
        level = float(sigma.flatten()[0])
        reached = sum(level <= s * (1 + 1e-4) for s in self.sigmas)
        return HostStep(self, max(reached - 1, 0), level, sigma, gone_back)

    def level_at(self, fraction: float) -> float:
        """The noise level at a fraction of the timesteps, 0 = before the noisiest, 1 = clean."""
        if fraction not in self._level_at:
            level = float(self.model_sampling.percent_to_sigma(fraction))
            self._level_at[fraction] = level
        return self._level_at[fraction]

    def fraction_at(self, level: float) -> float:
        """The fraction of the timesteps at a noise level: :meth:`level_at` turned round."""
        low, high = 0.0, 1.0
        for _ in range(FRACTION_BITS):
            middle = (low + high) / 2
            noisier = float(self.model_sampling.percent_to_sigma(middle)) > level
            low, high = (middle, high) if noisier else (low, middle)
        return (low + high) / 2

    def scaled(self, level: float, *, eps: float, x_0: float) -> float:
        """What the host makes of one number of noise and one of a latent at a level."""
        one = torch.ones(1)
        return float(self.model_sampling.noise_scaling(one * level, one * eps, one * x_0))
