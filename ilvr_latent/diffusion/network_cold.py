"""Cold diffusion (arXiv 2208.09392) with a denoiser: the degradation is its own Gaussian noise.

    x_{s-1} = x_s - D(x_0, s) + D(x_0, s - 1)       D(x_0, s) = sqrt(a_s) x_0 + sqrt(1 - a_s) z

z is what the network takes for noise (DDIM with eta 0), or x_T throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from .. import defaults
from ..errors import check_choice
from .cold import Algorithm, GaussianNoise, cold_step
from .denoiser import Denoiser
from .guide import HOOKS, Guide, Run, begun
from .guided import GuidedNetwork, first_state
from .loop import Callback
from .noise import NoiseSource
from .schedule import Schedule

COLD_HOOKS = frozenset(HOOKS) - {"repeats", "mean"}


@torch.no_grad()
def sample_cold(
    model: Denoiser,
    *,
    guide: Guide | None = None,
    shape: Sequence[int],
    steps: str | int = defaults.STEPS,
    algorithm: Algorithm = 2,
    fixed_noise: bool = False,
    class_labels: Tensor | None = None,
    clip_denoised: bool = True,
    noise: NoiseSource,
    callback: Callback | None = None,
) -> Tensor:
    """Cold diffusion with Gaussian noise, of any network, with any method of guidance.

    Args:
        model: the network.
        guide: the method, or ``None`` for an unguided sample.
        shape: (B, C, H, W).
        steps: see :func:`ilvr_latent.diffusion.schedule.chosen_timesteps`.
        algorithm: 2, the paper's, or 1; without fixed noise they are the same.
        fixed_noise: degrade with x_T throughout, not with what the network takes for noise.
        class_labels: int64 (B,), for class-conditional networks.
        clip_denoised: clamp the estimate of x_0 to [-1, 1] at every step.
        noise: where x_T comes from, and what a guide draws.
        callback: called after every level with its step and the state it produced.

    Returns:
        (B, C, H, W), not clamped; fp32, or float64 where the noise is.

    Raises:
        InputError: a setting is outside its range or does not fit the network or the guide.
    """
    check_choice("algorithm", algorithm, get_args(Algorithm))
    schedule = Schedule(model.config.noise_schedule, model.config.diffusion_steps, steps)
    run = Run(schedule, tuple(shape), model.device, noise, COLD_HOOKS)
    guided = begun(guide, run)
    network = GuidedNetwork(model, guided, class_labels, clip_denoised)
    x = first_state(noise, shape, model.device)
    gaussian = GaussianNoise(schedule.a_bar[::-1], fixed_noise=x if fixed_noise else None)
    for step, a_bar in zip(schedule.steps, schedule.a_bar, strict=True):
        s = len(schedule) - step.index
        x_t, x_0 = network(x, step, a_bar)
        gaussian.imply(x_t, x_0, s)
        x = cold_step(x_t, x_0, s, gaussian.degrade, algorithm)
        if callback is not None:
            callback(step, x)
    return guided.end(x)
