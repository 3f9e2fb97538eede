"""The forward process: beta schedules, respacing, and the steps of one run.

    t           original timestep, 0 .. T-1            a_bar   alpha-bar_t, product of 1 - beta
    x_t = alpha x_0 + sigma eps                        alpha = sqrt(a_bar), sigma = sqrt(1 - a_bar)

Schedules: "linear" of DDPM (arXiv 2006.11239), "cosine" of IDDPM (arXiv 2102.09672, eq. 17).
Tables are in float64: in fp32 they cost 2.6e-4 in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from ..defaults import EARLY
from ..errors import InputError


def alphas_cumprod(noise_schedule: str, diffusion_steps: int) -> Tensor:
    """alpha-bar_t for t = 0 .. T-1, float64 (T,).

    Args:
        noise_schedule: ``linear`` or ``cosine``, as guided-diffusion means them, or
            ``scaled_linear``, Stable Diffusion's (betas are the squares of equal steps).
        diffusion_steps: T.

    Raises:
        InputError: the schedule is unknown, or has no so short form.
    """
    if noise_schedule == "linear":
        # Scaled so that the process is about the same for any T.
        low, high = (1000 / diffusion_steps * beta for beta in (1e-4, 0.02))
        if high >= 1:
            raise InputError(
                f"diffusion_steps is {diffusion_steps}, too few for the linear schedule: nothing "
                "of the picture would be left; use more than 20, or the cosine schedule."
            )
        betas = torch.linspace(low, high, diffusion_steps, dtype=torch.float64)
    elif noise_schedule == "scaled_linear":
        roots = torch.linspace(0.00085**0.5, 0.012**0.5, diffusion_steps, dtype=torch.float64)
        betas = roots.square()
    elif noise_schedule == "cosine":
        time = torch.linspace(0, 1, diffusion_steps + 1, dtype=torch.float64)
        f = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    else:
        raise InputError(
            f"The noise schedule is {noise_schedule!r}; use 'linear', 'cosine' or 'scaled_linear'."
        )
    return torch.cumprod(1 - betas, dim=0)


def respaced_timesteps(diffusion_steps: int, steps: str | int) -> list[int]:
    """The original timesteps that a run visits, ascending, as guided-diffusion chooses them.

    Args:
        diffusion_steps: T.
        steps: ``"N"`` spreads N timesteps evenly, both ends included. ``"a,b,c"`` does so in each
            of three equal sections, the least noisy first. ``"ddimN"`` takes every k-th timestep
            from 0 for the k that gives N. An empty string takes all.

    Raises:
        InputError: the string cannot be read, or the process has no such selection.
    """
    text = str(steps).strip() or str(diffusion_steps)
    if str(steps).isspace():
        raise InputError("steps is blank; use a number such as 100.")
    try:
        if text.startswith("ddim"):
            return _strided(diffusion_steps, int(text[len("ddim") :]))
        counts = [int(part) for part in text.split(",")]
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"steps is {text!r}; use a number such as 100, 'ddim50', or counts such as '10,10,5'."
        ) from None
    size, extra = divmod(diffusion_steps, len(counts))
    chosen: list[int] = []
    start = 0
    for section, count in enumerate(counts):
        length = size + (section < extra)
        if not 0 <= count <= length:
            raise InputError(
                f"steps is {text!r}, but section {section + 1} of {len(counts)} has {length} of "
                f"the model's {diffusion_steps} timesteps; use 1 to {length} there, not {count}."
            )
        stride = (length - 1) / (count - 1) if count > 1 else 1.0
        # Summed up, not multiplied: rounding at .5 then falls as in guided-diffusion.
        positions = accumulate([stride] * (count - 1), initial=0.0) if count else ()
        chosen += [start + round(position) for position in positions]
        start += length
    if not chosen:
        raise InputError(f"steps is {text!r}, which takes no step at all; use 1 or more.")
    return chosen


def chosen_timesteps(a_bar: Tensor, steps: str | int) -> list[int]:
    """The timesteps that a run visits, ascending: guided-diffusion's choice, or early ones.

    Args:
        a_bar: alpha-bar of every timestep, (T,).
        steps: as for :func:`respaced_timesteps`, or ``"earlyN"``, see :func:`early_timesteps`.

    Raises:
        InputError: the string cannot be read, or the process has no such selection.
    """
    text = str(steps).strip()
    if not text.startswith(EARLY):
        return respaced_timesteps(len(a_bar), steps)
    count = text.removeprefix(EARLY)
    if not (count.isdecimal() and 1 <= int(count) <= len(a_bar)):
        raise InputError(
            f"steps is {text!r}; use {EARLY}1 to {EARLY}{len(a_bar)}, the model's timesteps."
        )
    return early_timesteps(a_bar, int(count))


def early_timesteps(a_bar: Tensor, count: int) -> list[int]:
    """Timesteps for few steps, ascending: the shorter, the more noise there is.

        phi = arctan(sigma / alpha)            phi(u) = phi_0 + (phi_{T-1} - phi_0) (1 - u^2)

    for u even from 0 (the noisiest) to 1. Even timesteps of a cosine schedule are even in phi, and
    the first of twenty goes from nothing to 8 % of the picture's amplitude, where colours and
    shapes are decided; here it goes to 0.5 %. In phi, not in t, so that the levels are the same for
    every schedule. The power is measured, see docs/steps.md.

    Args:
        a_bar: alpha-bar of every timestep, (T,).
        count: how many of them, at most T.
    """
    angles = ((1 - a_bar) / a_bar).sqrt().atan()
    u = torch.linspace(1, 0, count, dtype=angles.dtype)
    wanted = angles[0] + (angles[-1] - angles[0]) * (1 - u.square())
    nearest = (angles - wanted[:, None]).abs().argmin(dim=1)
    # Where levels lie nearer together than timesteps, each has one of its own.
    index = torch.arange(count)
    distinct = (nearest - index).cummax(dim=0).values.clamp(max=len(a_bar) - count)
    return (distinct + index).tolist()


def _strided(diffusion_steps: int, count: int) -> list[int]:
    if count < 1:
        raise InputError(f"steps is 'ddim{count}', which takes no step; use 'ddim1' or more.")
    for stride in range(1, diffusion_steps + 1):
        if len(range(0, diffusion_steps, stride)) == count:
            return list(range(0, diffusion_steps, stride))
    raise InputError(
        f"steps is 'ddim{count}', but no whole stride takes {count} of {diffusion_steps} "
        f"timesteps; use {count} without 'ddim', or a divisor of {diffusion_steps}."
    )


@dataclass(frozen=True)
class Step:
    """One noise level of a run: x_t = alpha x_0 + sigma eps.

    Drivers whose sampler is not ours derive their own.

    Attributes:
        index: sampling step, counted from 0 (the noisiest).
        t: original timestep.
        alpha: factor of the clean image.
        sigma: factor of the noise.
        fraction: position in the forward process, 0 (the noisiest timestep) to 1 (t = 0).
        gone_back: levels that resampling has gone back so far, see :mod:`.resampling`.
    """

    index: int
    t: int
    alpha: float
    sigma: float
    fraction: float
    gone_back: int = 0

    @property
    def call(self) -> int:
        """Which network call of the run it is, from 0; the index unless the run goes back."""
        return self.index + self.gone_back

    @property
    def scale(self) -> float:
        """The state divided by it is variance preserving: alpha^2 + sigma^2 = 1."""
        return math.hypot(self.alpha, self.sigma)

    @property
    def a_bar(self) -> float:
        """alpha-bar: the share of the picture in the state's variance."""
        return self.alpha**2 / (self.alpha**2 + self.sigma**2)

    @property
    def is_clean(self) -> bool:
        """Whether there is no noise at this level."""
        return self.sigma == 0

    def noised(self, y_0: Tensor, eps: Tensor) -> Tensor:
        """A clean image at this noise level, q(y_t | y_0)."""
        return self.alpha * y_0 + self.sigma * eps

    def between(self, start: float, end: float) -> bool:
        """Whether its fraction is from ``start`` to ``end``."""
        return start <= self.fraction <= end


class Schedule:
    """The steps of one sampling run, noisiest first.

    Args:
        noise_schedule: ``linear`` or ``cosine``.
        diffusion_steps: T of the forward process.
        steps: how many of them to visit, see :func:`chosen_timesteps`.

    Attributes:
        steps: one :class:`Step` for each network call.
        after: the level that the run ends at, or ``None`` where it finishes the picture.
    """

    steps: tuple[Step, ...]
    after: Step | None = None

    def __init__(self, noise_schedule: str, diffusion_steps: int, steps: str | int) -> None:
        whole = alphas_cumprod(noise_schedule, diffusion_steps)
        timesteps = chosen_timesteps(whole, steps)[::-1]
        a_bar = whole[timesteps].tolist()
        last = max(diffusion_steps - 1, 1)
        self.steps = tuple(
            Step(i, t, math.sqrt(a), math.sqrt(1 - a), 1 - t / last)
            for i, (t, a) in enumerate(zip(timesteps, a_bar, strict=True))
        )
        # From the table, not from alpha: squaring a root costs the last digit.
        self._a_bar: tuple[float, ...] | None = tuple(a_bar)

    @classmethod
    def of(cls, steps: Sequence[Step], after: Step | None = None) -> Schedule:
        """A schedule whose steps another sampler has chosen, in any scale of the state."""
        schedule = cls.__new__(cls)
        schedule.steps, schedule.after, schedule._a_bar = tuple(steps), after, None
        return schedule

    @property
    def a_bar(self) -> tuple[float, ...]:
        """alpha-bar of each step."""
        if self._a_bar is None:
            self._a_bar = tuple(step.a_bar for step in self.steps)
        return self._a_bar

    def __len__(self) -> int:
        return len(self.steps)

    def a_bar_next(self, index: int) -> float:
        """alpha-bar of the state that step ``index`` produces; 1 where that is the picture."""
        if index + 1 < len(self.a_bar):
            return self.a_bar[index + 1]
        return 1.0 if self.after is None else self.after.a_bar
