"""ILVR Apply's range and weight: both units, every kind of weight, and what the node shows."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

STEPS = 20


@pytest.fixture
def mix(host: ModuleType) -> ModuleType:
    import mixture

    return mixture


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What each node shows, as a server would be told."""
    texts: dict[str, str] = {}
    instance = SimpleNamespace(
        send_sync=lambda event, data: None,
        send_progress_text=lambda text, node_id: texts.update({node_id: text}),
    )
    server = SimpleNamespace(PromptServer=SimpleNamespace(instance=instance))
    monkeypatch.setitem(sys.modules, "server", server)
    return texts


def applied(pack: ModuleType, model: Any, reference: Tensor, **settings: Any) -> Any:
    settings = {"factor": 4, "start_percent": 0.0, "end_percent": 1.0, "weight": 1.0} | settings
    return pack.nodes.guides.ilvr.ILVRApply.execute(model, {"samples": reference}, **settings)[0]


def sigmas_of(model: Any) -> Tensor:
    import comfy.samplers

    sampling = model.get_model_object("model_sampling")
    return comfy.samplers.calculate_sigmas(sampling, "normal", STEPS)


def range_of(pack: ModuleType, model: Any, sigmas: Tensor, window: Any, weight: Any = 1.0) -> Any:
    shape, core = torch.Size((1, 4, 16, 16)), pack.ilvr_latent
    run = pack.nodes.run.HostRun(
        pack.nodes.levels.HostSchedule(sigmas, model.model.model_sampling), shape,
        torch.device("cpu"), core.SeededNoise(0), may_be_a_stage=True, model=model.model,
    )  # fmt: skip
    reference = core.Reference(torch.zeros(shape), 4, window, weight)
    return core.guides.ilvr.Placed(reference, run)


def window_of(pack: ModuleType, start: float, end: float, unit: str = "fraction") -> Any:
    """As ILVR Apply makes it."""
    return pack.ilvr_latent.Window(start, end, unit, gate="level")


@pytest.mark.parametrize("form", ["eps", "flow"])
@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m_sde", "sa_solver"])
def test_steps_and_percent_name_the_same_range(
    pack: ModuleType, mix: ModuleType, form: str, sampler: str
) -> None:
    model, reference = mix.mixture(form), mix.draw(4)
    sigmas = sigmas_of(model)
    window = window_of(pack, 0.22, 0.71)
    steps = sorted(range_of(pack, model, sigmas, window).weights)
    assert 5 < len(steps) < 15
    by_percent = applied(pack, model, reference, start_percent=0.22, end_percent=0.71)
    by_step = applied(
        pack, model, reference, range_unit="steps", start_step=steps[0], end_step=steps[-1] + 1
    )
    assert torch.equal(mix.sampled(by_step, sampler), mix.sampled(by_percent, sampler))
    one_less = applied(
        pack, model, reference, range_unit="steps", start_step=steps[0], end_step=steps[-1]
    )
    assert not torch.equal(mix.sampled(one_less, sampler), mix.sampled(by_percent, sampler))


def test_steps_to_the_end_hold_the_finished_picture(pack: ModuleType, mix: ModuleType) -> None:
    model, reference = mix.mixture("flow"), mix.draw(4) / 0.8
    whole = mix.sampled(applied(pack, model, reference))
    for end in (STEPS, 10000):
        steps = {"range_unit": "steps", "start_step": 0, "end_step": end}
        assert torch.equal(mix.sampled(applied(pack, model, reference, **steps)), whole)
    early = {"range_unit": "steps", "start_step": 0, "end_step": STEPS - 1}
    assert not torch.equal(mix.sampled(applied(pack, model, reference, **early)), whole)
    late = {"range_unit": "steps", "start_step": STEPS, "end_step": 10000}
    beyond = applied(pack, model, reference, **late)
    assert torch.equal(mix.sampled(beyond), mix.sampled(model))


def test_steps_count_from_where_the_sampler_begins(pack: ModuleType, mix: ModuleType) -> None:
    """The second half of a run knows nothing of the first: percent is the same in both."""
    model = mix.mixture("eps")
    second_stage = sigmas_of(model)[10:]
    by_step = range_of(pack, model, second_stage, window_of(pack, 0, 3, "step"))
    assert sorted(by_step.weights) == [0, 1, 2, 3]
    by_percent = range_of(pack, model, second_stage, window_of(pack, 0, 0.8))
    whole = range_of(pack, model, sigmas_of(model), window_of(pack, 0, 0.8))
    assert [i + 10 for i in sorted(by_percent.weights)] == sorted(whole.weights)[10:]


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
def test_a_weight_in_percent_goes_on_in_the_second_stage(
    pack: ModuleType, mix: ModuleType, form: str
) -> None:
    model, window = mix.mixture(form), window_of(pack, 0, 0.8)
    falling = pack.ilvr_latent.WeightSchedule.ramp(1, 0)
    sigmas = sigmas_of(model)
    whole = range_of(pack, model, sigmas, window, falling)
    second = range_of(pack, model, sigmas[10:], window, falling)
    weights = [whole.weights[i] for i in sorted(whole.weights)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == pytest.approx(1, abs=1e-3)
    assert weights[-1] < 0.1
    levels = pack.nodes.levels.HostSchedule
    schedules = [levels(s, model.model.model_sampling) for s in (sigmas, sigmas[10:])]
    assert second.weights
    for i in second.weights:
        steps = (schedule.step(sigmas[10 + i : 11 + i]) for schedule in schedules)
        of_whole, of_second = (
            placed.weight_of_state(step)
            for placed, step in zip((whole, second), steps, strict=True)
        )
        assert of_second == of_whole == second.weights[i]


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
def test_a_noise_level_is_turned_back_into_its_fraction(
    pack: ModuleType, mix: ModuleType, form: str
) -> None:
    model = mix.mixture(form)
    schedule = pack.nodes.levels.HostSchedule(sigmas_of(model), model.model.model_sampling)
    for fraction in (0.0, 0.1, 0.37, 0.8, 0.999, 1.0):
        level = schedule.level_at(fraction)
        assert schedule.fraction_at(level) == pytest.approx(fraction, abs=1e-3)
    # What guides are told of a level is what the host does to latents and noise there.
    for step in schedule.steps[::5]:
        y_0, eps = torch.randn(2, 1, 4, 16, 16)
        wanted = step.alpha * y_0 + step.sigma * eps
        torch.testing.assert_close(step.noised(y_0, eps), wanted, rtol=1e-5, atol=1e-5)
        assert 0 <= step.a_bar < 1


@pytest.mark.parametrize("space", ["state", "prediction"])
@pytest.mark.parametrize("sampler", ["euler", "sa_solver"])
def test_a_weight_that_does_not_change_is_a_constant(
    pack: ModuleType, mix: ModuleType, sampler: str, space: str
) -> None:
    model, reference = mix.mixture("eps"), mix.draw(4)
    constant = mix.sampled(applied(pack, model, reference, weight=0.5, space=space), sampler)
    for same in (
        {"weight": 0.5, "end_weight": 0.5, "weight_schedule": "linear"},
        {"weight": 0.5, "end_weight": 0.5, "weight_schedule": "cosine"},
        {"weight": 0.5, "weight_points": "0:1", "weight_schedule": "points"},
        {"weight": 1.0, "weight_points": "0:0.5, 1:0.5", "weight_schedule": "points"},
    ):
        out = mix.sampled(applied(pack, model, reference, space=space, **same), sampler)
        assert torch.equal(out, constant)


@pytest.mark.parametrize("sampler", ["euler", "uni_pc", "euler_ancestral"])
@pytest.mark.parametrize(
    "off",
    [
        {"weight": 0.0, "end_weight": 0.0, "weight_schedule": "linear"},
        {"weight": 0.0, "weight_points": "0:1, 1:1", "weight_schedule": "points"},
        {"weight_points": "0:0, 1:0", "weight_schedule": "points"},
    ],
)
def test_weight_zero_everywhere_is_no_node(
    pack: ModuleType, mix: ModuleType, sampler: str, off: dict[str, Any]
) -> None:
    model = mix.mixture("eps")
    out = mix.sampled(applied(pack, model, mix.draw(4), **off), sampler)
    assert torch.equal(out, mix.sampled(model, sampler))


def test_a_weight_that_falls_to_zero_ends_the_range(pack: ModuleType, mix: ModuleType) -> None:
    model, reference = mix.mixture("flow"), mix.draw(4)
    steps = {"range_unit": "steps", "start_step": 0}
    jump = applied(
        pack, model, reference, weight_schedule="points",
        weight_points="0:1, 0.5:1, 0.5:0, 1:0", **steps, end_step=STEPS,
    )  # fmt: skip
    ended = applied(pack, model, reference, **steps, end_step=STEPS // 2)
    assert torch.equal(mix.sampled(jump), mix.sampled(ended))


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_falling_weight_lies_between_all_and_nothing(
    pack: ModuleType, mix: ModuleType, kind: str
) -> None:
    model, reference = mix.mixture("eps"), mix.draw(4) / 0.8
    phi = pack.ilvr_latent.LowPass(4, "box")

    def distance(**settings: Any) -> float:
        out = mix.sampled(applied(pack, model, reference, kernel="box", **settings))
        return float((phi(out) - phi(reference)).norm())

    falling = [distance(weight_schedule=kind, end_weight=w) for w in (0.5, 0.0)]
    assert distance() < falling[0] < falling[1] < distance(weight=0.0)


def test_each_node_shows_its_own_steps(
    pack: ModuleType, mix: ModuleType, shown: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mix.mixture("eps")
    for node_id, settings in {
        "4": {"end_percent": 0.8},
        "7:2": {"range_unit": "steps", "start_step": 3, "end_step": 4},
        "9": {"weight_schedule": "linear", "range_unit": "steps", "end_step": 11},
        "11": {"weight": 0.3},
        "12": {"weight": 0.0},
        "13": {"range_unit": "steps", "start_step": 30},
        "14": {"weight_schedule": "points", "weight_points": "0:1,.3:0,.5:0,1:1"},
    }.items():
        hidden = SimpleNamespace(unique_id=node_id)
        monkeypatch.setattr(pack.nodes.guides.ilvr.ILVRApply, "hidden", hidden, raising=False)
        model = applied(pack, model, mix.draw(4), **settings)
    assert shown == {}
    mix.sampled(model)
    assert all(
        line.endswith(" N = 4 cells: 32 pixels, 1/4 of the side.") for line in shown.values()
    )
    assert {node: line.partition(" N = ")[0] for node, line in shown.items()} == {
        "4": "Matches steps 1 to 16 of 20.",
        "7:2": "Matches step 4 of 20.",
        "9": "Matches steps 1 to 10 of 20, weight 1 to 0.1.",
        "11": "Matches steps 1 to 20 of 20 and the finished picture, weight 0.3.",
        "12": "Matches no step of 20: the weight is 0.",
        "13": "Matches no step of 20: none is in the range.",
        "14": shown["14"].partition(" N = ")[0],
    }
    assert shown["14"].startswith("Matches steps 1 to 6, 11 to 20 of 20 and the finished picture")
    mix.sampled(model, steps=10)
    assert shown["4"].startswith("Matches steps 1 to 8 of 10. N = ")


def test_without_a_server_the_log_says_it(
    pack: ModuleType, mix: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    mix.sampled(applied(pack, mix.mixture("eps"), mix.draw(4), end_percent=0.8))
    assert any("Matches steps 1 to 16 of 20. N = 4" in line for line in caplog.messages)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"range_unit": "steps", "start_step": 5, "end_step": 5}, "start_step is 5 and end_step 5"),
        ({"range_unit": "frames"}, "range_unit is 'frames'"),
        ({"weight_schedule": "sine"}, "weight_schedule is 'sine'"),
        ({"weight_schedule": "points", "weight_points": "0:1, now"}, "'now' cannot be read"),
        ({"weight_schedule": "points", "weight_points": "0:1, 1:3"}, "weight is 3.0"),
        ({"weight_schedule": "linear", "end_weight": 1.5}, "weight is 1.5"),
    ],
)
def test_bad_settings_are_one_sentence(
    pack: ModuleType, mix: ModuleType, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(pack.ilvr_latent.InputError, match=said):
        applied(pack, mix.mixture("eps"), mix.draw(4), **change)


def test_units_of_the_factor_name_the_same(pack: ModuleType, mix: ModuleType) -> None:
    """16 cells of 8 pixels: N = 4 cells, 32 pixels, a quarter of the side."""
    model, reference = mix.mixture("eps"), mix.draw(4)
    wanted = mix.sampled(applied(pack, model, reference, factor=4))
    for factor, unit in ((4, "cells"), (32, "pixels"), (0.25, "share")):
        guided = applied(pack, model, reference, factor=factor, factor_unit=unit)
        assert torch.equal(mix.sampled(guided), wanted)
    for change, said in (
        ({"factor": 4, "factor_unit": "pixels"}, "less than a cell"),
        ({"factor": 2, "factor_unit": "share"}, "use a share above 0"),
        ({"factor": 4, "factor_unit": "miles"}, "factor_unit is 'miles'"),
        ({"space": "evil"}, "space is 'evil'"),
    ):
        with pytest.raises(pack.ilvr_latent.InputError, match=said):
            applied(pack, model, reference, **change)
