"""The benchmark of the server's memory ends: after its runs, or when its time is over."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("benchmarks.server")


@pytest.mark.parametrize(
    ("end", "made", "looked"),
    [(1000.0, 45, [0, 19, 39]), (70.0, 7, [0]), (210.0, 21, [0, 19]), (-1.0, 1, [0])],
)
def test_it_ends_after_its_runs_or_its_time(
    server: Any, end: float, made: int, looked: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    runs: list[int] = []  # each takes ten seconds
    found = server.memory_over(
        runs.append,
        lambda: runs[-1],
        runs=45,
        end=end,
        clock=lambda: 10.0 * len(runs),
    )
    assert found == (made, looked)
    assert runs == list(range(made))
    assert len(capsys.readouterr().out.splitlines()) == len(looked)
