"""A few calls of nodes with inputs that nobody means; `make fuzz` tries the thousands."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def test_no_input_breaks_a_node(
    pack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import folder_paths

    # Last: the host has a module `nodes` of its own.
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", {**_known(folder_paths)})
    from tests.fuzz.node_calls import NodeCalls
    from tests.fuzz.watch import Limits, Tally, attempt

    calls = NodeCalls(tmp_path, seed=0)
    tally = Tally("nodes", Limits(seconds=1e9, megabytes=1e9))
    for number in range(300):
        attempt(calls(number), (calls.pack.ilvr_latent.InputError,), tally)
    assert tally.faults == {}
    assert tally.accepted > 30
    assert tally.refused > 100


def _known(folder_paths: ModuleType) -> dict[str, object]:
    return dict(folder_paths.folder_names_and_paths)
