"""The samplers of Score SDE (arXiv 2011.13456) and Cold Diffusion (2208.09392) as the host's.

Each function here is called as the host calls its samplers: (state, noise levels) to the latent.

    x       the host's state, alpha x_0 + sigma eps      scale   sqrt(alpha^2 + sigma^2)
    x_t     x / scale, as the papers hold it             a_bar   (alpha / scale)^2

For models whose states are the picture plus noise (eps, v) and for flow models (1 - sigma, sigma).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import comfy.model_management
from torch import Tensor
from tqdm.auto import tqdm

from ...ilvr_latent import InputError, SeededNoise
from ...ilvr_latent.diffusion.cold import Algorithm, GaussianNoise, cold_step
from ...ilvr_latent.diffusion.dormand_prince import integrate
from ...ilvr_latent.diffusion.network_flow import velocity
from ...ilvr_latent.diffusion.predictor_corrector import Move, PredictorCorrector
from ...ilvr_latent.diffusion.reverse import transitions
from ..levels import HostSchedule
from .adm_sampling import mean_of_guides

SamplerFunction = Callable[..., Tensor]
# The host draws x_T from the seed itself, and z must not repeat it.
SEED_OFFSET = 0x53434F5245


class _Network:
    """The host's denoiser during one run, which tells the host of each step.

    Attributes:
        levels: the SIGMAS.
        steps: how many steps they are.
        seed: of the run.
    """

    def __init__(
        self,
        model: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None,
        callback: Any,
        disable: bool | None,
    ) -> None:
        self.model, self._sigmas, self._callback = model, sigmas, callback
        self._extra_args = extra_args or {}
        self.levels = HostSchedule(sigmas, model.inner_model.inner_model.model_sampling)
        self.steps = len(self.levels)
        self.seed: int = self._extra_args.get("seed") or 0
        self._bar = tqdm(total=self.steps, disable=disable)

    def __call__(self, x: Tensor, level: float) -> Tensor:
        """The clean estimate of a state; guides may edit the state where it stands."""
        # An interruption is noticed between the calls of a step, too.
        comfy.model_management.throw_exception_if_processing_interrupted()
        denoised: Tensor = self.model(x, level * x.new_ones(len(x)), **self._extra_args)
        return denoised

    def told(self, i: int, x: Tensor, denoised: Tensor) -> None:
        """After the network calls of a step."""
        self._bar.update()
        if self._callback is not None:
            self._callback({"x": x, "i": i, "sigma": self._sigmas[i], "denoised": denoised})

    def scale(self, i: int) -> float:
        """Of the states at a level, the last one included."""
        after = self.levels.after
        return self.levels.steps[i].scale if i < self.steps else (after.scale if after else 1.0)

    def check_from_noise(self) -> None:
        """Refuse what is no way from noise to a picture.

        Raises:
            InputError: the noise levels do not fall, or the model has no noise in its state.
        """
        sigmas = self.levels.sigmas
        if any(low >= high for high, low in pairwise(sigmas)):
            raise InputError(
                "This sampler goes from noise to picture, but these SIGMAS do not fall at every "
                "step; use Probability Flow Sampler to turn a picture into noise."
            )
        if self.levels.steps[0].sigma == 0:
            raise InputError(
                "This model starts from a picture and not from noise; use another sampler."
            )


def predictor_corrector(moves: PredictorCorrector) -> SamplerFunction:
    """Predictor-corrector sampling; see :mod:`.diffusion.predictor_corrector`.

    Args:
        moves: at each level.
    """

    def sample_predictor_corrector(
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Any = None,
        disable: bool | None = None,
    ) -> Tensor:
        network = _Network(model, sigmas, extra_args, callback, disable)
        if not network.steps:
            return x
        network.check_from_noise()
        steps = transitions(network.levels)
        moves.check(steps)
        noise = SeededNoise(network.seed + SEED_OFFSET, x.device)
        move = Move(x, x)
        for i, transition in enumerate(steps):
            level, scale = network.levels.sigmas[i], network.scale(i)
            for j in range(moves.corrector_steps):
                denoised = network(x, level)
                z = noise.corrector(i, j, x.shape).to(x)
                move = moves.corrected(x / scale, denoised, z, transition)
                x = move.state * scale
            if moves.predictor != "none":
                denoised = network(x, level)
                x_t = x / scale
                mean = mean_of_guides(model, x_t, denoised, level * x.new_ones(len(x)))
                z_of = partial(_step_noise, noise, i, x_t)
                move = moves.predicted(x_t, denoised, z_of, transition, mean)
            network.told(i, x, denoised)
            x = move.state * network.scale(i + 1)
        return move.mean if network.levels.after is None else x

    # Read by the driver of guides.
    sample_predictor_corrector.asks_guides_for_the_mean = moves.has_mean  # type: ignore[attr-defined]
    return sample_predictor_corrector


def _step_noise(noise: SeededNoise, i: int, x_t: Tensor) -> Tensor:
    return noise.step(i, x_t.shape).to(x_t)


def probability_flow(tolerance: float | None) -> SamplerFunction:
    """The probability flow, from noise to picture or back; see :mod:`.diffusion.network_flow`.

    Args:
        tolerance: error of a step; ``None`` takes one for each of the SIGMAS.
    """

    def sample_probability_flow(
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Any = None,
        disable: bool | None = None,
    ) -> Tensor:
        network = _Network(model, sigmas, extra_args, callback, disable)
        angles = _Angles(network.levels)
        levels = network.levels.sigmas
        # A way to noise may begin at 0, where there is no flow yet.
        first = 1 if levels and levels[0] == 0 else 0
        positive = [level for level in levels[first:] if level > 0]
        if not positive:
            return x
        denoised = x

        def slope(y: Tensor, phi: float, interval: int) -> Tensor:
            nonlocal denoised
            denoised = network(y * angles.scale(phi), angles.level(phi))
            return velocity(y, denoised, phi)

        grid = [angles.angle(level) for level in positive]
        states = integrate(slope, x / angles.scale(grid[0]), grid, rtol=tolerance)
        for i, y in enumerate(states):
            x = y * angles.scale(grid[i + 1])
            network.told(first + i, x, denoised)
        if levels[-1] > 0:
            return x
        x_0 = network(x, positive[-1])
        network.told(network.steps - 1, x, x_0)
        return x_0

    return sample_probability_flow


class _Angles:
    """Noise levels as angles: alpha = scale cos(phi), sigma = scale sin(phi).

    Raises:
        InputError: the model counts its noise in neither of the ways that are known.
    """

    def __init__(self, levels: HostSchedule) -> None:
        middle = next((level for level in levels.sigmas if 0 < level < 1), 0.5)
        alpha, sigma = (levels.scaled(middle, eps=eps, x_0=1 - eps) for eps in (0.0, 1.0))
        self._flow = math.isclose(alpha, 1 - middle, rel_tol=1e-4)
        if not math.isclose(sigma, middle, rel_tol=1e-4) or not (self._flow or alpha == 1):
            raise InputError(
                "This model adds noise in a way that has no flow here; use another sampler."
            )

    def angle(self, level: float) -> float:
        """phi at a noise level of the host."""
        return math.atan2(level, 1 - level if self._flow else 1.0)

    def level(self, phi: float) -> float:
        """The host's noise level at phi."""
        return math.sin(phi) / (math.cos(phi) + (math.sin(phi) if self._flow else 0.0))

    def scale(self, phi: float) -> float:
        """The host's state over that with alpha^2 + sigma^2 = 1."""
        return 1 / (math.cos(phi) + (math.sin(phi) if self._flow else 0.0))


def cold(algorithm: Algorithm, *, fixed_noise: bool) -> SamplerFunction:
    """Cold diffusion with Gaussian noise; see :mod:`.diffusion.network_cold`.

    Args:
        algorithm: 1 or 2.
        fixed_noise: that of the first state throughout.
    """

    def sample_cold(
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Any = None,
        disable: bool | None = None,
    ) -> Tensor:
        network = _Network(model, sigmas, extra_args, callback, disable)
        if not network.steps:
            return x
        network.check_from_noise()
        after = network.levels.after
        # A run that leaves noise ends one level early.
        a_bars = [*network.levels.a_bar, *([] if after is None else [after.a_bar])]
        z = x / network.scale(0) if fixed_noise else None
        gaussian = GaussianNoise(a_bars[::-1], fixed_noise=z)
        for i in range(network.steps):
            s = len(a_bars) - i
            denoised = network(x, network.levels.sigmas[i])
            network.told(i, x, denoised)
            x_t = x / network.scale(i)
            gaussian.imply(x_t, denoised, s)
            x = cold_step(x_t, denoised, s, gaussian.degrade, algorithm) * network.scale(i + 1)
        return x

    return sample_cold
