"""One run of a diffusers pipeline as a guide needs to know it: the calls of the network, and the
steps they make up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..diffusion.schedule import Schedule, Step
from .levels import levels, scale_of, solver_of


@dataclass(frozen=True)
class Call:
    """One call of the network.

    Attributes:
        step: the sampling step that it belongs to, with the level of the state it is given.
        whole: the solver goes on from that state. Solvers of higher order show the network
            states half-way, which they then drop.
    """

    step: Step
    whole: bool


@dataclass(frozen=True)
class Plan:
    """The calls of one run.

    Attributes:
        calls: in order.
        after: the level of the result, or ``None`` where it is clean.
    """

    calls: tuple[Call, ...]
    after: Step | None

    @property
    def schedule(self) -> Schedule:
        """The whole sampling steps."""
        return Schedule.of([call.step for call in self.calls if call.whole], self.after)


def plan_run(scheduler: Any, first: int, calls: int) -> Plan:
    """The plan of a run that starts at place ``first`` of ``scheduler.timesteps``.

    A window counts in fractions of the forward process: the place of the timestep among those of
    the process, or, for schedulers that have no discrete process (flow, EDM), the place of the
    step in the scheduler's list, which is the time before any shift.
    """
    solver, found = solver_of(scheduler), levels(scheduler, first, calls)
    whole = solver.whole(scheduler, first, calls) if solver.whole else [True] * calls
    timesteps = scheduler.timesteps[first : first + len(found)].tolist()
    continuous = scale_of(scheduler) not in ("discrete", "normalised", "exploding")
    last = max(scheduler.config.num_train_timesteps - 1, 1)
    steps, index = [], -1
    for k, (t, (alpha, sigma)) in enumerate(zip(timesteps, found, strict=True)):
        index += k >= calls or whole[k]
        place = (first + k) / len(scheduler.timesteps) if continuous else 1 - t / last
        steps.append(Step(index, round(t), alpha, sigma, min(max(place, 0.0), 1.0)))
    made = (Call(step, is_whole) for step, is_whole in zip(steps, whole, strict=False))
    return Plan(tuple(made), steps[calls] if len(steps) > calls else None)


def place_of(scheduler: Any, timestep: Tensor | float, taken: int, calls: int | None) -> int:
    """Where in ``scheduler.timesteps`` a run has started.

    Args:
        scheduler: during its first step.
        timestep: of that step.
        taken: 1 after the step, 0 before.
        calls: how many the run has, if that is known.
    """
    index = getattr(scheduler, "step_index", None)
    if index is not None:
        return int(index) - taken
    begin = getattr(scheduler, "begin_index", None)
    if begin is not None:
        return int(begin)
    if hasattr(scheduler, "index_for_timestep"):
        return int(scheduler.index_for_timestep(timestep))
    t, timesteps = float(timestep), scheduler.timesteps.tolist()
    found = [i for i, other in enumerate(timesteps) if other == t]
    # A timestep may stand there twice; most runs go to the end of the list.
    to_the_end = None if calls is None else len(timesteps) - calls
    return to_the_end if to_the_end in found else found[0] if found else 0
