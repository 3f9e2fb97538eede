"""What a diffusers scheduler's state is made of, call by call: x = alpha x_0 + sigma eps.

    alpha, sigma    factors of the picture and of the noise in the state
    kappa           the scheduler's own noise level, its ``sigmas`` (sigma / alpha)
    a_bar           alpha-bar_t, its ``alphas_cumprod``

Schedulers hold the state in four scales. ``discrete``: alpha^2 + sigma^2 = 1, both from the
timestep. ``normalised``: the same, from kappa. ``exploding``: alpha = 1, sigma = kappa. ``flow``:
alpha = 1 - kappa, sigma = kappa.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InputError

Scale = Literal["discrete", "normalised", "exploding", "preconditioned", "flow"]
Levels = list[tuple[float, float]]


@dataclass(frozen=True)
class Linear:
    """The clean estimate as the scheduler takes it from the network: x_0 = a x + b output."""

    a: float
    b: float


@dataclass(frozen=True)
class Solver:
    """What there is to know of a scheduler class.

    Attributes:
        scale: of the state; ``preconditioned`` is ``exploding`` with the networks of EDM
            (arXiv 2206.00364), whose output is not noise.
        whole: (scheduler, first call, number of calls) to whether the state that each call is
            given is one the solver goes on from; ``None``: all are.
        half_way: (scheduler, call) to kappa at the second of two calls, if it is not ``sigmas``.
        corrects: the next step would compute the state anew from ``last_sample``.
    """

    scale: Scale
    whole: Callable[[Any, int, int], list[bool]] | None = None
    half_way: Callable[[Any, int], float] | None = None
    corrects: bool = False


def _every_other(scheduler: Any, first: int, calls: int) -> list[bool]:
    return [k % 2 == 0 for k in range(calls)]


def _pndm(scheduler: Any, first: int, calls: int) -> list[bool]:
    """Runge-Kutta in four calls where they are not skipped, else one Heun step; then multistep."""
    if scheduler.config.skip_prk_steps:
        return [k != 1 for k in range(calls)]
    runge_kutta = len(scheduler.prk_timesteps)
    return [k >= runge_kutta or k % 4 == 0 for k in range(calls)]


def _singlestep(scheduler: Any, first: int, calls: int) -> list[bool]:
    """A call of order 2 or 3 starts again from where the call of order 1 did."""
    orders = scheduler.order_list[first : first + calls]
    return [min(order, k + 1) == 1 for k, order in enumerate(orders)]


def _between(scheduler: Any, call: int) -> float:
    """The middle in log kappa (DPM-Solver SDE)."""
    before, after = scheduler.sigmas[call - 1 : call + 1].tolist()
    return math.sqrt(before * after)


SOLVERS: dict[str, Solver] = {
    "DDIMScheduler": Solver("discrete"),
    "DDIMParallelScheduler": Solver("discrete"),
    "DDPMScheduler": Solver("discrete"),
    "DDPMParallelScheduler": Solver("discrete"),
    "CogVideoXDDIMScheduler": Solver("discrete"),
    "CogVideoXDPMScheduler": Solver("discrete"),
    "PNDMScheduler": Solver("discrete", _pndm),
    "LCMScheduler": Solver("discrete"),
    "TCDScheduler": Solver("discrete"),
    "EulerDiscreteScheduler": Solver("exploding"),
    "EulerAncestralDiscreteScheduler": Solver("exploding"),
    "LMSDiscreteScheduler": Solver("exploding"),
    "HeunDiscreteScheduler": Solver("exploding", _every_other),
    "KDPM2DiscreteScheduler": Solver(
        "exploding", _every_other, lambda scheduler, call: float(scheduler.sigmas_interpol[call])
    ),
    "KDPM2AncestralDiscreteScheduler": Solver(
        "exploding",
        _every_other,
        lambda scheduler, call: float(scheduler.sigmas_interpol[call - 1]),
    ),
    "DPMSolverSDEScheduler": Solver("exploding", _every_other, _between),
    "DPMSolverMultistepScheduler": Solver("normalised"),
    "DPMSolverSinglestepScheduler": Solver("normalised", _singlestep),
    "DEISMultistepScheduler": Solver("normalised"),
    "UniPCMultistepScheduler": Solver("normalised", corrects=True),
    "SASolverScheduler": Solver("normalised", corrects=True),
    "EDMEulerScheduler": Solver("preconditioned"),
    "EDMDPMSolverMultistepScheduler": Solver("preconditioned"),
    "CosineDPMSolverMultistepScheduler": Solver("preconditioned"),
    "FlowMatchEulerDiscreteScheduler": Solver("flow"),
    "FlowMatchHeunDiscreteScheduler": Solver("flow", _every_other),
    "FlowMatchLCMScheduler": Solver("flow"),
    "LTXEulerAncestralRFScheduler": Solver("flow"),
}
PREDICTIONS = ("epsilon", "sample", "v_prediction", "flow_prediction")


def solver_of(scheduler: Any) -> Solver:
    """What is known of a scheduler, which may be of a subclass.

    Raises:
        InputError: it is of another kind, or asks for another output of the network.
    """
    solver, prediction = _known(scheduler), prediction_type(scheduler)
    if prediction not in PREDICTIONS:
        raise InputError(
            f"The scheduler's prediction_type is {prediction!r}; use a model and a scheduler with "
            f"one of {list(PREDICTIONS)}."
        )
    return solver


def _known(scheduler: Any) -> Solver:
    names = [base.__name__ for base in type(scheduler).__mro__]
    solver = next((SOLVERS[name] for name in names if name in SOLVERS), None)
    if solver is None:
        raise InputError(
            f"ILVR does not know the scheduler {names[0]}; give the pipeline another one, such as "
            "DDIMScheduler, or FlowMatchEulerDiscreteScheduler for a flow model."
        )
    return solver


def scale_of(scheduler: Any) -> Scale:
    """The scale of the state; solvers of the DPM kind have one more for flow models."""
    scale = _known(scheduler).scale
    flow = scale == "normalised" and scheduler.config.get("use_flow_sigmas", False)
    return "flow" if flow else scale


def prediction_type(scheduler: Any) -> str:
    """What the network's output is, in diffusers' words."""
    default = "flow_prediction" if scale_of(scheduler) == "flow" else "epsilon"
    return str(scheduler.config.get("prediction_type", default))


def levels(scheduler: Any, first: int, calls: int) -> Levels:
    """(alpha, sigma) at each call of a run; where the run stops early, one more: of its result."""
    scale, solver = scale_of(scheduler), solver_of(scheduler)
    places = range(first, min(first + calls + 1, len(scheduler.timesteps)))
    if scale == "discrete":
        timesteps = scheduler.timesteps[first:].tolist()
        a_bars = [float(scheduler.alphas_cumprod[int(timesteps[i - first])]) for i in places]
        return [(math.sqrt(a), math.sqrt(1 - a)) for a in a_bars]
    kappas = scheduler.sigmas.tolist()
    if solver.half_way is not None and solver.whole is not None:
        whole = solver.whole(scheduler, first, len(places))
        for i in places:
            if not whole[i - first]:
                kappas[i] = solver.half_way(scheduler, i)
    return [_in_scale(scale, kappas[i]) for i in places]


def _in_scale(scale: Scale, kappa: float) -> tuple[float, float]:
    if scale == "flow":
        return 1 - kappa, kappa
    if scale == "normalised":
        norm = math.sqrt(1 + kappa**2)
        return 1 / norm, kappa / norm
    return 1.0, kappa


def clean_estimate(scheduler: Any, alpha: float, sigma: float) -> Linear:
    """How x_0 follows from the state and the network's output at a level."""
    prediction, scale = prediction_type(scheduler), scale_of(scheduler)
    if scale == "preconditioned":
        # EDM's c_skip and c_out.
        data = scheduler.config.sigma_data
        skip = data**2 / (sigma**2 + data**2)
        out = sigma * data / math.sqrt(sigma**2 + data**2)
        return Linear(skip, -out if prediction == "v_prediction" else out)
    if prediction == "sample":
        return Linear(0.0, 1.0)
    if prediction == "flow_prediction":
        return Linear(1.0, -sigma)
    if prediction == "v_prediction":
        norm = alpha**2 + sigma**2
        return Linear(alpha / norm, -sigma / math.sqrt(norm))
    if alpha == 0:
        raise InputError(
            "At the first timestep this scheduler leaves nothing of the picture, so noise tells "
            "no prediction; use space='state', or a scheduler without rescale_betas_zero_snr."
        )
    return Linear(1 / alpha, -sigma / alpha)
