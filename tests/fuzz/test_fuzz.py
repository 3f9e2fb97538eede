"""A few cases of each kind in every run of the tests, and that the watch sees what it should.

`make fuzz` tries the thousands.
"""

from __future__ import annotations

import io
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch

from tests.fuzz import checkpoints, pictures, watch
from tests.fuzz.__main__ import cases_of
from tests.fuzz.pickles import PICKLES, RUNNING, with_code
from tests.fuzz.watch import Case, Limits, Tally, attempt
from tests.fuzz.whole_pictures import whole_pictures

# A class of cases takes a second or two; time and memory are for `make fuzz`.
FEW = {"checkpoints": 150, "pictures": 150, "commands": 40}
NO_LIMITS = Limits(seconds=1e9, megabytes=1e9)


class Refusal(ValueError):
    """As a case may raise."""


def tallied(action: Callable[[], object], named: tuple[str, ...] = ("x",)) -> Tally:
    tally = Tally("one", NO_LIMITS)
    attempt(Case("it", action, named), (Refusal,), tally)
    return tally


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands are run in the folder of their files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ILVR_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FEW)
def test_nothing_breaks_it(kind: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is large takes seconds to make.
    monkeypatch.setattr(pictures, "large_pictures", whole_pictures)
    make, refusals = cases_of(kind, elsewhere, seed=0)
    tally = Tally(kind, NO_LIMITS)
    for number in range(FEW[kind]):
        attempt(make(number), refusals, tally)
    assert tally.faults == {}
    assert tally.accepted > 0
    assert tally.refused > tally.cases / 4


def test_the_same_seed_makes_the_same_cases(elsewhere: Path) -> None:
    first, again, other = (checkpoints.Checkpoints(elsewhere, seed) for seed in (3, 3, 4))
    what = [[each(number).what for number in range(20)] for each in (first, again, other)]
    assert what[0] == what[1] != what[2]


@pytest.mark.parametrize("number", range(len(RUNNING)))
def test_code_that_runs_is_heard(number: int) -> None:
    raw = pickle.dumps(RUNNING[number]())
    assert "canary" in tallied(lambda: pickle.loads(raw)).faults


def test_hostile_archives_have_code_that_would_run() -> None:
    """With torch's own reader of pickles, which this package never asks for."""
    heard = 0
    for seed in range(40):
        raw = with_code({}, Random(seed))
        tally = tallied(lambda raw=raw: torch.load(io.BytesIO(raw), weights_only=False))  # type: ignore[misc]
        heard += "canary" in tally.faults
    assert heard > 20
    assert with_code in PICKLES


@pytest.mark.parametrize(
    "start", [lambda: os.system("true"), lambda: subprocess.run(["true"], check=False)]
)
def test_programs_that_are_started_are_heard(start: Callable[[], object]) -> None:
    assert tallied(start).faults["canary"]


def test_what_is_wrong_with_an_end_is_noted() -> None:
    def refusing(text: str) -> Tally:
        def refuse() -> None:
            raise Refusal(text)

        return tallied(refuse, ("a.png", "factor"))

    assert refusing("The factor is 0; use 1.").faults == {}
    assert refusing("'A.PNG' is no picture.").faults == {}
    assert set(refusing("Something is wrong.").faults) == {"names neither file nor input"}
    assert set(refusing("factor\nis 0").faults) == {"more than a line"}
    assert set(refusing("factor \x1b[31m").faults) == {"more than a line"}
    assert set(refusing("factor" * 100).faults) == {"too long"}
    assert set(tallied(lambda: 1 / 0).faults) == {"raw exception"}


def test_time_and_memory_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a worker of the tests holds rises and falls by itself: nothing to measure a case by.
    megabytes = {"VmRSS": 300.0, "VmHWM": 556.0}
    monkeypatch.setattr(watch, "_memory", megabytes.__getitem__)
    tally = Tally("one", Limits(seconds=0, megabytes=20))
    attempt(Case("it", lambda: sum(range(1000)), ("x",)), (Refusal,), tally)
    assert set(tally.faults) == {"slow", "large"}
    assert tally.faults["large"] == ["it: 256 MB"]
    assert tally.largest == 256
