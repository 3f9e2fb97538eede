"""ILVR with every scheduler of diffusers, on a network that is a formula."""

from __future__ import annotations

import diffusers
import pytest
import torch
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers
from torch import Tensor

from ilvr_latent import InputError, LowPass, Reference, Window
from ilvr_latent.guides.ilvr import Space
from ilvr_latent.pipelines import ILVRCallback
from ilvr_latent.pipelines.levels import SOLVERS, solver_of
from tests.pipelines.support.exact import Case, ExactPipeline, available, cases, draw
from tests.pipelines.support.exact import exact_pipeline as made

N = 4
SHARP = LowPass(N, "spectral")
# With cubic, which is no projector, a little of the first difference is left.
RESIDUAL = {"epsilon": 0.06, "sample": 0.06, "v_prediction": 0.08, "flow": 0.12}
# Their last step does not end in the prediction, but in a mix of it with older ones or with noise:
# what is left falls as 1 / STEPS. Without ILVR it is 1.4.
ENDS_ELSEWHERE = ("PNDM", "TCD", "DEIS", "SASolver")


# Enough for every solver to have left its first steps, which are of lower order.
STEPS = 12


@pytest.fixture(
    scope="module",
    params=cases(),
    ids=lambda case: "-".join(map(str, (*case[:2], *case[2].values()))),
)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(scope="module")
def pipe(case: Case) -> ExactPipeline:
    name, prediction, config = case
    return made(name, prediction, **config)


@pytest.fixture(scope="module")
def plain(pipe: ExactPipeline) -> Tensor:
    """The sample without ILVR."""
    return pipe(steps=STEPS)


@pytest.fixture(scope="module")
def cubic(pipe: ExactPipeline) -> Tensor:
    """The sample with the settings that are the default."""
    return guided(pipe, Reference(draw(4), N))


def residual(phi: LowPass, x: Tensor, y: Tensor) -> float:
    return float((phi(x) - phi(y)).norm() / phi(y).norm())


def above(x: Tensor) -> float:
    return float((x - SHARP(x)).square().mean())


def guided(pipe: ExactPipeline, reference: Reference, space: Space = "state") -> Tensor:
    callback = ILVRCallback(pipe, reference, space=space)
    if space == "state":
        return pipe(steps=STEPS, callback_on_step_end=callback)
    with callback:
        return pipe(steps=STEPS)


def test_the_sample_has_the_low_frequencies_of_the_reference(
    pipe: ExactPipeline, case: Case, plain: Tensor, cubic: Tensor
) -> None:
    y = draw(4)
    box = guided(pipe, Reference(y, N, kernel="box"))
    for out, phi, bound in (
        (cubic, LowPass(N), RESIDUAL[case[1]]),
        (box, LowPass(N, "box"), 1e-3),
    ):
        assert torch.isfinite(out).all()
        assert residual(phi, out, y) <= bound
        assert above(out) == pytest.approx(above(plain), rel=0.15)


def test_the_solver_goes_on_from_what_was_matched(
    pipe: ExactPipeline, case: Case, plain: Tensor
) -> None:
    """A window that ends early has no last match: what is left comes through the solver."""
    y, phi = draw(4), LowPass(N, "box")
    out = guided(pipe, Reference(y, N, kernel="box", window=Window(0, 0.8)))
    freedom = 0.35 * residual(phi, plain, y)
    assert residual(phi, out, y) < freedom or "LTX" in case[0]


def test_predictions_are_matched_before_the_solver_takes_them(
    pipe: ExactPipeline, case: Case, plain: Tensor
) -> None:
    y, phi = draw(4), LowPass(N, "box")
    out = guided(pipe, Reference(y, N, kernel="box"), "prediction")
    assert residual(phi, out, y) <= (0.25 if case[0].startswith(ENDS_ELSEWHERE) else 1e-3)
    assert above(out) == pytest.approx(above(plain), rel=0.15)
    early = guided(pipe, Reference(y, N, kernel="box", window=Window(0, 0.8)), "prediction")
    assert residual(phi, early, y) < 0.35 * residual(phi, plain, y) or "LTX" in case[0]


def test_weight_zero_is_the_pipeline_alone(pipe: ExactPipeline, plain: Tensor) -> None:
    for space in ("state", "prediction"):
        out = guided(pipe, Reference(draw(4), N, weight=0.0), space)
        assert torch.equal(out, plain)


def test_a_run_repeats_and_both_ways_in_are_one(pipe: ExactPipeline, cubic: Tensor) -> None:
    callback = ILVRCallback(pipe, Reference(draw(4), N))
    for _ in range(2):
        assert torch.equal(pipe(steps=STEPS, callback_on_step_end=callback), cubic)
    with callback:
        assert torch.equal(pipe(steps=STEPS), cubic)
    assert "step" not in vars(pipe.scheduler)


def test_every_scheduler_of_these_pipelines_is_known() -> None:
    assert {member.name for member in KarrasDiffusionSchedulers} <= set(SOLVERS)
    tried = {case[0] for case in cases()}
    assert all(name in tried for name in SOLVERS if available(name))


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in dir(diffusers)
        if name.endswith("Scheduler") and name not in SOLVERS and available(name)
    ],
)
def test_the_others_are_refused_by_name(name: str) -> None:
    scheduler = getattr(diffusers, name)
    with pytest.raises(InputError, match=f"does not know the scheduler {name}"):
        solver_of(scheduler.__new__(scheduler))
