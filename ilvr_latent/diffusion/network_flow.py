"""The probability flow (arXiv 2011.13456, section 4.3) of a network with a schedule of its own.

    dx/dphi = v = (alpha x - x_0) / sigma       alpha = cos phi, sigma = sin phi

    x   state, alpha x_0 + sigma eps    x_0   clean estimate    v   alpha eps - sigma x_0

This is dx/dt = -beta(t) / 2 (x + s) with the angle phi in place of the time, so that no schedule is
needed but the network's. Neither x nor v changes its scale with the level, so steps may be long:
with the embedded model, eight of order five end nearer to the limit than forty in log sigma do. The
end is the clean estimate at the last level.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .. import defaults
from .denoiser import Denoiser
from .dormand_prince import Slope, check_tolerance, integrate
from .guide import HOOKS, Guide, GuideRun, Run, begun
from .guided import GuidedNetwork, first_state
from .loop import Callback
from .noise import NoiseSource
from .schedule import Schedule, Step, alphas_cumprod


def velocity(x: Tensor, x_0: Tensor, phi: float) -> Tensor:
    """v of a state and its clean estimate."""
    return (math.cos(phi) * x - x_0) / math.sin(phi)


# A guide is shown trial states, which are not gone on with; nothing has a posterior mean here.
FLOW_HOOKS = frozenset(HOOKS) - {"repeats", "mean"}


@torch.no_grad()
def sample_flow(
    model: Denoiser,
    *,
    guide: Guide | None = None,
    shape: Sequence[int],
    steps: str | int = defaults.STEPS,
    tolerance: float | None = None,
    class_labels: Tensor | None = None,
    clip_denoised: bool = False,
    noise: NoiseSource,
    callback: Callback | None = None,
) -> Tensor:
    """Follow the probability flow of a network, through the levels of its schedule.

    Args:
        model: the network; it must take timesteps between whole ones, as ADM networks do.
        guide: the method, or ``None`` for an unguided sample.
        shape: (B, C, H, W).
        steps: see :func:`ilvr_latent.diffusion.schedule.chosen_timesteps`.
        tolerance: relative and absolute error of a step, with at least one step of six or more
            network calls for each level; the paper's is 1e-5. ``None`` takes just one, with which
            no picture depends on the others of its batch.
        class_labels: int64 (B,), for class-conditional networks.
        clip_denoised: clamp the estimate of x_0 to [-1, 1] at every call; not in the paper.
        noise: where x_T comes from, and what a guide draws.
        callback: called after every level with its step and the state it produced.

    Returns:
        (B, C, H, W), the clean estimate at the last level; fp32, or float64 where the noise is.

    Raises:
        InputError: a setting is outside its range or does not fit the network or the guide.
    """
    check_tolerance(tolerance)
    levels = _Levels(model, steps)
    schedule = levels.schedule
    run = Run(schedule, tuple(shape), model.device, noise, FLOW_HOOKS, keeps_state=False)
    guided = begun(guide, run)
    network = GuidedNetwork(model, guided, class_labels, clip_denoised)
    x = first_state(noise, shape, model.device)
    states = integrate(levels.slope(network), x, levels.grid, rtol=tolerance)
    for step, x in zip(schedule.steps, states, strict=False):
        if callback is not None:
            callback(step, x)
    last = schedule.steps[-1]
    _, x_0 = network(x, last, schedule.a_bar[-1])
    if callback is not None:
        callback(last, x_0)
    return guided.end(x_0)


@torch.no_grad()
def encode_flow(
    model: Denoiser,
    x_0: Tensor,
    *,
    steps: str | int = defaults.STEPS,
    tolerance: float | None = None,
    class_labels: Tensor | None = None,
) -> Tensor:
    """The noise that a network makes a picture from: :func:`sample_flow` backwards.

    Args:
        model: the network.
        x_0: pictures, (B, C, H, W) in [-1, 1].
        steps: see :func:`sample_flow`, as the rest.
        tolerance: relative and absolute error of a step.
        class_labels: int64 (B,), for class-conditional networks.

    Returns:
        x_T, of x_0's shape; fp32, or float64 where x_0 is.

    Raises:
        InputError: a setting is outside its range.
    """
    check_tolerance(tolerance)
    levels = _Levels(model, steps, backwards=True)
    network = GuidedNetwork(model, GuideRun(), class_labels, clip_denoised=False)
    x = x_0.to(model.device)
    x = x if x.dtype == torch.float64 else x.float()
    # The picture at the least noisy level, without its noise: the clean estimate there is itself.
    x = levels.schedule.steps[-1].alpha * x
    *_, x_T = x, *integrate(levels.slope(network), x, levels.grid, rtol=tolerance)
    return x_T


class _Levels:
    """The levels of a run, and what lies between them.

    Attributes:
        schedule: the steps, noisiest first.
        grid: phi of each, in the order in which they are taken.
    """

    def __init__(self, model: Denoiser, steps: str | int, *, backwards: bool = False) -> None:
        config = model.config
        self.schedule = Schedule(config.noise_schedule, config.diffusion_steps, steps)
        a_bar = alphas_cumprod(config.noise_schedule, config.diffusion_steps)
        # log(sigma / alpha), between which timesteps are interpolated.
        self._u: list[float] = (((1 - a_bar) / a_bar).log() / 2).tolist()
        grid = [math.atan2(step.sigma, step.alpha) for step in self.schedule.steps]
        self.grid = grid[::-1] if backwards else grid
        self._backwards = backwards

    def slope(self, network: GuidedNetwork) -> Slope:
        """dx/dphi as the network has it."""

        def slope(x: Tensor, phi: float, interval: int) -> Tensor:
            index = len(self.grid) - 2 - interval if self._backwards else interval
            step, t = self._at(phi, index)
            _, x_0 = network(x, step, step.alpha**2, t)
            return velocity(x, x_0, phi)

        return slope

    def _at(self, phi: float, index: int) -> tuple[Step, float]:
        """The level at phi, as one of the step ``index``, and its timestep."""
        u = math.log(math.tan(phi))
        last = len(self._u) - 1
        above = min(max(bisect.bisect_left(self._u, u), 1), last)
        low, high = self._u[above - 1], self._u[above]
        t = min(max(above - 1 + (u - low) / (high - low), 0.0), float(last))
        return Step(index, round(t), math.cos(phi), math.sin(phi), 1 - t / last), t
