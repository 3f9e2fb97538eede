"""Resampling: the way through the levels, what a jump does to a state, and to a guided run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ilvr_latent import (
    ILVR,
    InputError,
    RecordedNoise,
    Reference,
    Resampling,
    Schedule,
    SeededNoise,
    Step,
    Window,
    sample,
    sample_with,
)
from ilvr_latent.diffusion import GuideRun
from ilvr_latent.diffusion import Run as GuidedRun
from ilvr_latent.diffusion.resampling import Jump, renoised, walk
from ilvr_latent.diffusion.reverse import transitions

if TYPE_CHECKING:
    from tests.conftest import CountedNoise, MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]
SHAPE = (4, 3, 16, 16)
FEW = Resampling(jump_length=2, jump_n_sample=3)
some_resampling = st.builds(Resampling, st.integers(1, 12), st.integers(2, 5))


def test_the_way_of_a_short_run() -> None:
    """Eight steps, j = 3, r = 2: the authors jump once from t = 3 and once from t = 0."""
    assert Resampling(3, 2).stretches(8) == ((0, 4), (1, 7), (4, 8))


@given(some_resampling, st.integers(2, 60))
def test_every_way_goes_by_single_steps_and_whole_jumps_to_the_end(
    resampling: Resampling, steps: int
) -> None:
    j, r = resampling.jump_length, resampling.jump_n_sample
    if steps <= j:
        return
    stretches = resampling.stretches(steps)
    assert stretches[0][0] == 0
    assert stretches[-1][1] == steps
    assert all(0 <= first < last <= steps for first, last in stretches)
    for (_, last), (first, _) in itertools.pairwise(stretches):
        assert last - first == j
        assert last < steps
    places = math.ceil((steps - j) / j)
    assert len(stretches) == places * (r - 1) + 1
    assert resampling.calls(steps) == steps + j * (r - 1) * places


def test_the_papers_run_has_so_many_calls() -> None:
    assert Resampling().calls(250) == 250 + 24 * 9 * 10


@given(some_resampling, st.integers(2, 60))
def test_the_levels_are_those_of_diffusers(resampling: Resampling, steps: int) -> None:
    from diffusers import RePaintScheduler

    if steps <= resampling.jump_length:
        return
    theirs = RePaintScheduler(num_train_timesteps=steps)
    theirs.set_timesteps(steps, resampling.jump_length, resampling.jump_n_sample)
    levels = [0]
    for first, last in resampling.stretches(steps):
        # They go back level by level, and do not name the finished image.
        levels += reversed(range(first, levels[-1]))
        levels += range(first + 1, min(last + 1, steps))
    assert [steps - 1 - level for level in levels] == theirs.timesteps.tolist()


def test_one_sample_is_no_jump() -> None:
    assert Resampling(10, 1).stretches(4) == ((0, 4),)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"jump_length": 0}, "jump_length is 0; use a whole number of at least 1"),
        ({"jump_n_sample": 0}, "jump_n_sample is 0"),
        ({"jump_length": 2.5}, r"jump_length is 2\.5"),
    ],
    ids=str,
)
def test_numbers_that_are_none_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Resampling(**settings)


def test_a_run_too_short_for_a_jump_is_refused_before_the_network_is_called(exact: Exact) -> None:
    model = exact()
    with pytest.raises(InputError, match=r"jump_length is 8, .* 8 steps, .* from 1 to 7"):
        sample(model, None, shape=SHAPE, steps=8, resampling=Resampling(8, 2))
    assert not model.seen


@pytest.mark.parametrize("form", ["vp", "ve", "flow"])
def test_a_jump_gives_the_mean_and_the_variance_of_the_noisier_level(form: str) -> None:
    """A state of a known picture is one of that picture at the noisier level."""
    low, high = 0.3, 0.8
    alphas = {
        "vp": [math.sqrt(1 - s**2) for s in (low, high)],
        "ve": [1.0, 1.0],
        "flow": [1 - low, 1 - high],
    }[form]
    x_0, eps = 0.7, SeededNoise(0).initial((2, 400_000))
    x_t = alphas[0] * x_0 + low * eps[0]
    out = renoised(x_t, (alphas[0], low), (alphas[1], high), eps[1])
    assert float(out.mean()) == pytest.approx(alphas[1] * x_0, abs=5e-3)
    assert float(out.std()) == pytest.approx(high, abs=5e-3)
    # And not a fresh draw: what there was of the picture is kept.
    kept = alphas[1] / alphas[0]
    assert float((out * x_t).mean() - out.mean() * x_t.mean()) == pytest.approx(
        kept * low**2, abs=2e-3
    )


@pytest.mark.parametrize("settings", [{}, {"sampler": "ddim", "eta": 0.4}], ids=str)
def test_without_jumps_nothing_changes(
    exact: Exact, some_pictures: Pictures, settings: dict[str, Any]
) -> None:
    reference = Reference(some_pictures(1, seed=9), 4)
    outs = [
        sample(
            exact(variance=0.05), reference, shape=SHAPE, steps=8, resampling=resampling, **settings
        )
        for resampling in (None, Resampling(3, 1), FEW)
    ]
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])


def test_a_guide_sees_every_step_as_often_as_it_is_taken(exact: Exact) -> None:
    class Watching(GuideRun):
        """A guide that does nothing."""

        def __init__(self) -> None:
            self.steps: list[tuple[str, Step]] = []

        def begin(self, run: GuidedRun) -> Watching:
            return self

        def state(self, x_t: Tensor, step: Step) -> Tensor:
            self.steps.append(("state", step))
            return x_t

        def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
            self.steps.append(("prediction", step))
            return x_0

    watching, model, told = Watching(), exact(), list[int]()
    sample_with(
        model, watching, shape=SHAPE, steps=8, resampling=Resampling(3, 2), noise=SeededNoise(0),
        callback=lambda step, x: told.append(step.index),
    )  # fmt: skip
    order = [*range(4), *range(1, 7), *range(4, 8)]
    assert [(what, step.index, step.call) for what, step in watching.steps] == [
        (what, index, call) for call, index in enumerate(order) for what in ("state", "prediction")
    ]
    assert told == order
    assert len(model.seen) == len(order) == Resampling(3, 2).calls(8)


def test_resampling_leaves_the_distribution_of_an_exact_model_alone(exact: Exact) -> None:
    """Forward and exact reverse steps of a unit Gaussian undo each other."""
    model = exact(torch.full((1, 3, 16, 16), 0.4), variance=1.0)
    out = sample(
        model, None, shape=(16, 3, 16, 16), steps=10, clip_denoised=False, resampling=FEW
    ).double()
    assert float(out.mean()) == pytest.approx(0.4, abs=4 / math.sqrt(out.numel()) + 0.004)
    assert float(out.var()) == pytest.approx(1, abs=4 * math.sqrt(2 / out.numel()) + 2e-4)


@pytest.mark.parametrize("resampling", [None, FEW], ids=str)
@pytest.mark.parametrize("space", ["state", "prediction"])
def test_at_n_1_the_known_region_is_the_reference(
    exact: Exact, some_pictures: Pictures, resampling: Resampling | None, space: Any
) -> None:
    y_0 = some_pictures(1, seed=9)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :9] = 1
    out = sample(
        exact(variance=0.05), Reference(y_0, 1, mask=mask), shape=SHAPE, steps=8, space=space,
        resampling=resampling,
    )  # fmt: skip
    # The last step of the sampler leaves what matching the prediction gives it, but for rounding.
    torch.testing.assert_close(out[..., :9], y_0.expand(SHAPE)[..., :9], rtol=0, atol=1e-3)
    assert float((out - y_0)[..., 9:].abs().mean()) > 0.05


def test_jumps_let_the_hole_agree_with_what_is_known(exact: Exact, some_pictures: Pictures) -> None:
    """The model knows three pictures; the left third of one says which is to stand on the right."""
    centres = some_pictures(3, seed=1)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :5] = 1
    reference = Reference(centres[:1], 1, mask=mask)
    right = []
    for resampling in (None, FEW):
        model = exact(centres, variance=0.3)
        out = sample(
            model, reference, shape=(64, 3, 16, 16), steps=10, clip_denoised=False,
            resampling=resampling,
        )  # fmt: skip
        wrong = torch.cdist(out[..., 5:].flatten(1), centres[..., 5:].flatten(1)).argmin(1) != 0
        right.append(float(1 - wrong.float().mean()))
    assert right[1] > right[0] + 0.1


def draws(noise: CountedNoise, what: str) -> list[int]:
    return [i for kind, i in noise.asked if kind == what]


@pytest.mark.parametrize(
    ("kind", "drawn"),
    [
        # Calls 0..9 take the steps 0 1 2 | 1 2 3 4 | 3 4 5; a call's result is matched before the
        # next, with noise unless it is clean, and the pure noise never is.
        ("fresh", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        # Six matched steps: the first four (60 %) are fresh at every visit, the fifth holds.
        ("hybrid", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("fixed", [0]),
    ],
)
def test_the_references_noise_when_steps_are_taken_again(
    exact: Exact, some_pictures: Pictures, counted_noise: CountedNoise, kind: Any, drawn: list[int]
) -> None:
    reference = Reference(some_pictures(1, seed=9), 4, window=Window())
    sample(
        exact(), reference, shape=SHAPE, steps=6, reference_noise=kind,
        resampling=Resampling(2, 2), noise=counted_noise,
    )  # fmt: skip
    assert draws(counted_noise, "reference") == drawn
    assert draws(counted_noise, "jump") == [0, 1]
    assert draws(counted_noise, "z") == list(range(10))


def test_a_step_that_is_taken_twice_in_a_row_has_fresh_noise(
    exact: Exact, some_pictures: Pictures, counted_noise: CountedNoise
) -> None:
    reference = Reference(some_pictures(1, seed=9), 4)
    sample(
        exact(), reference, shape=SHAPE, steps=3, resampling=Resampling(1, 2), noise=counted_noise
    )
    # 0 | 0 1 | 1 2: both visits of step 1 begin with a state of the same level.
    assert draws(counted_noise, "reference") == [1, 2, 3]


def test_a_run_is_repeated_from_the_noise_that_was_written_down(
    exact: Exact, some_pictures: Pictures
) -> None:
    guide = ILVR(Reference(some_pictures(1, seed=9), 4))
    moves = walk(Schedule("linear", 1000, 5), FEW, SeededNoise(0))
    calls = [move for move in moves if isinstance(move, Step)]
    jumps = len(moves) - len(calls)
    generator = torch.Generator().manual_seed(0)
    x_T, *rest = torch.randn(1 + 2 * len(calls) + jumps, *SHAPE, generator=generator)
    z, y, n = rest[: len(calls)], rest[len(calls) : 2 * len(calls)], rest[2 * len(calls) :]
    settings: dict[str, Any] = {"shape": SHAPE, "steps": 5, "resampling": FEW}
    first, again, other = (
        sample_with(
            exact(), guide, noise=RecordedNoise(x_T, z, dict(enumerate(y)), jumps), **settings
        )
        for jumps in (n, n, n[::-1])
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_source_without_noise_for_jumps_serves_runs_without(exact: Exact) -> None:
    class Plain:
        """As the protocol was before there were jumps."""

        def __init__(self) -> None:
            source = SeededNoise(0)
            self.initial, self.step, self.reference = (
                source.initial,
                source.step,
                source.reference,
            )

    wanted = sample(exact(), None, shape=SHAPE, steps=4)
    assert torch.equal(sample(exact(), None, shape=SHAPE, steps=4, noise=Plain()), wanted)
    with pytest.raises(InputError, match="no noise for jumps"):
        sample(exact(), None, shape=SHAPE, steps=4, noise=Plain(), resampling=FEW)


def test_a_walk_counts_its_jumps() -> None:
    moves = walk(Schedule("linear", 1000, 5), FEW, SeededNoise(0))
    jumps = [move for move in moves if isinstance(move, Jump)]
    assert [jump.number for jump in jumps] == list(range(len(jumps)))
    assert all(jump.level.index - jump.noisier.index == 2 for jump in jumps)


@pytest.mark.parametrize("last", [1, 3, 5])
def test_a_part_of_a_run_that_leaves_noise_has_the_steps_of_the_whole(last: int) -> None:
    """Only the step to the clean image takes the variance of the one before it."""

    class Part(Schedule):
        """The first steps."""

        def a_bar_next(self, index: int) -> float:
            return whole.a_bar_next(index)

    whole = Schedule("linear", 1000, 6)
    part = Part.of(whole.steps[:last])
    for one, other in zip(transitions(part), transitions(whole), strict=False):
        assert one.log_beta_tilde == pytest.approx(other.log_beta_tilde)
