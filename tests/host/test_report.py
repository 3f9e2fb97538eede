"""ILVR Record and ILVR Report: nothing changes, the right run is found, and no tensor is kept."""

from __future__ import annotations

import gc
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

STEPS = 8


@pytest.fixture
def applied(pack: ModuleType) -> Any:
    """A MODEL with ILVR Apply."""
    import graph
    import mixture

    model = mixture.mixture("eps")

    def make(**settings: Any) -> Any:
        return graph.applied(pack, model, mixture.draw(4), **settings)

    return make


def run(model: Any, sampler: str = "euler", **options: Any) -> Tensor:
    import mixture

    return mixture.sampled(model, sampler, steps=STEPS, **options)


def recorded(pack: ModuleType, model: Any) -> tuple[Any, Any]:
    return pack.nodes.tools.report.ILVRRecord.execute(model).args


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m", "uni_pc", "ddpm", "euler_cfg_pp"])
@pytest.mark.parametrize("space", ["state", "prediction"])
def test_the_picture_stays_the_same(
    pack: ModuleType, applied: Any, sampler: str, space: str
) -> None:
    for weight in (1.0, 0.0):
        model = applied(space=space, end_percent=0.6, weight=weight, kernel="box")
        watched, tape = recorded(pack, model)
        out = run(watched, sampler)
        assert torch.equal(out, run(model, sampler))
        recording = tape.find(out)
        assert recording.steps == STEPS
        assert set(recording.residuals) == set(range(STEPS + 1))
        assert bool(recording.matched) == bool(weight)
        assert STEPS not in recording.matched


def test_the_matched_places_are_those_that_the_node_shows(
    pack: ModuleType, applied: Any, caplog: pytest.LogCaptureFixture
) -> None:
    import graph
    import mixture

    watched, tape = recorded(pack, applied(end_percent=1.0, start_percent=0.3, kernel="box"))
    with caplog.at_level("INFO"):
        out = run(watched)
    recording = tape.find(out)
    assert recording.matched == tuple(range(recording.matched[0], STEPS + 1))
    assert f"steps {recording.matched[0] + 1} to {STEPS} of {STEPS}" in caplog.text
    # The mixture's scale is 0.8; the first place is the noise, so it is still far away.
    wanted = graph.residual(pack, out, mixture.draw(4))
    assert recording.residuals[STEPS] == pytest.approx(wanted, abs=1e-4)
    assert recording.residuals[0] > 0.3


def test_several_samplers_share_a_tape(pack: ModuleType, applied: Any) -> None:
    watched, tape = recorded(pack, applied(end_percent=0.5))
    outs = [run(watched, seed=seed) for seed in (1, 2, 3)]
    found = [tape.find(out) for out in outs]
    assert len({recording.residuals[STEPS] for recording in found}) == 3
    assert tape.find(outs[0] + 1) is None
    assert tape.find(outs[0][..., :8]) is None
    assert tape.find(outs[0].half()) is found[0]
    for seed in range(10, 10 + pack.nodes.tools.tape.KEPT_RUNS):
        run(watched, seed=seed)
    assert tape.find(outs[0]) is None


def test_of_two_runs_that_are_close_the_right_one_is_found(pack: ModuleType, applied: Any) -> None:
    """Closer than half precision may take away, in the first and in the last numbers alike."""
    watched, tape = recorded(pack, applied(end_percent=0.5))
    first, second = (run(watched, seed=seed) for seed in (1, 2))
    one, other = tape.find(first), tape.find(second)
    close = pack.nodes.tools.tape.Tape()
    close.add(first, one)
    close.add(first * 1.004, other)
    close.add(first + 3e-4, other)
    assert close.find(first) is one
    assert close.find(first.half()) is one
    assert close.find(first * 1.004) is other
    assert close.find((first * 1.004).half()) is other


def test_references_join_before_the_recorder_and_after(pack: ModuleType, applied: Any) -> None:
    import graph
    import mixture

    other = mixture.draw(5)
    model = graph.applied(pack, applied(), other)
    before, first = recorded(pack, model)
    after = graph.applied(pack, recorded(pack, applied())[0], other)
    twice, second = recorded(pack, before)
    out = run(model)
    for watched in (before, after, twice):
        assert torch.equal(run(watched), out)
    assert first.find(out) is not None
    assert first.find(out) == second.find(out)


def test_no_tensor_outlives_a_run(pack: ModuleType, applied: Any) -> None:
    watched, tape = recorded(pack, applied())
    run(watched)

    def living() -> int:
        gc.collect()
        return sum(issubclass(type(each), Tensor) for each in gc.get_objects())

    before = living()
    for seed in range(3):
        run(watched, seed=seed)
    assert living() <= before
    assert tape.find(run(watched, seed=2)) is not None


def test_a_cancelled_run_is_not_recorded(
    pack: ModuleType, applied: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, tape = recorded(pack, applied())
    monkeypatch.setattr(watched.model, "_apply_model", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(watched)
    monkeypatch.undo()
    assert not tape._runs
    assert tape.find(run(watched)) is not None


def test_the_report_is_a_picture(pack: ModuleType, applied: Any) -> None:
    report = pack.nodes.tools.report.ILVRReport
    (watched, tape), (off, other) = (recorded(pack, applied(weight=w)) for w in (1.0, 0.0))
    made, plain = ({"samples": run(model)} for model in (watched, off))
    alone, both = report.execute(tape, made)[0], report.execute(tape, made, other, plain)[0]
    for image in (alone, both):
        assert image.shape == (1, 340, 960, 3)
        assert image.dtype == torch.float32
        assert 0 <= float(image.min()) < 0.3 < float(image.max()) <= 1
    assert not torch.equal(alone, both)


def test_what_cannot_be_reported_is_said(pack: ModuleType, applied: Any, host: Any) -> None:
    import mixture

    error, report = pack.ilvr_latent.InputError, pack.nodes.tools.report.ILVRReport
    with pytest.raises(error, match="put ILVR Apply before"):
        recorded(pack, mixture.mixture("eps"))
    watched, tape = recorded(pack, applied())
    with pytest.raises(error, match="No recorded run"):
        report.execute(tape, {"samples": torch.zeros(mixture.SHAPE)})
    made = {"samples": run(watched)}
    with pytest.raises(error, match="other_samples"):
        report.execute(tape, made, tape)
    with pytest.raises(error, match="other_recording"):
        report.execute(tape, made, None, made)
