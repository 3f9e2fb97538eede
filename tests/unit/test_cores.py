"""How many threads a command computes with, on machines that are folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ilvr_latent.cli.cores import Machine, free_cores
from ilvr_latent.cli.main import share_the_cores

Make = Callable[..., Machine]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A machine of so many processors, ``per_core`` of them to a core, ``computing`` for now."""

    def make(
        processors: int = 8, per_core: int = 1, computing: float | None = None, **files: str
    ) -> Machine:
        monkeypatch.setattr(os, "cpu_count", lambda: processors)
        for number in range(processors):
            place = f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"
            first = number % (processors // per_core)
            write(tmp_path / place, f"{first},{first + processors // per_core}")
        for place, text in files.items():
            write(tmp_path / place, text)

        def ticks(idle: float, busy: float) -> None:
            numbers = (busy, 0, 0, idle, 0, 0, 0, 0, 0, 0)
            write(tmp_path / "proc/stat", f"cpu  {' '.join(str(round(n)) for n in numbers)}\ncpu0")

        if computing is not None:
            ticks(5000, 5000)

        def wait(seconds: float) -> None:
            assert computing is not None
            ticks(5000 + 100 * (processors - computing), 5000 + 100 * computing)

        return Machine(tmp_path, wait)

    return make


@pytest.mark.parametrize(
    ("load", "threads"), [(0.0, 8), (0.4, 8), (1.0, 7), (2.6, 5), (7.2, 1), (8.0, 1), (40.0, 1)]
)
def test_cores_that_are_free(machine: Make, load: float, threads: int) -> None:
    assert free_cores(machine(), range(8), load) == threads


def test_one_thread_for_a_core(machine: Make) -> None:
    assert free_cores(machine(per_core=2), range(8), 0.0) == 4
    # Two cores with both of their hyperthreads.
    assert free_cores(machine(per_core=2), [0, 1, 4, 5], 0.0) == 2
    assert free_cores(machine(per_core=2), range(8), 4.0) == 1


def test_of_what_a_process_may_run_on(machine: Make) -> None:
    assert free_cores(machine(64), range(4), 0.0) == 4
    assert free_cores(machine(64), range(4), 32.0) == 2
    assert free_cores(machine(64), [7], 0.0) == 1


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({"sys/fs/cgroup/cpu.max": "300000 100000"}, 3),
        ({"sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, 8),
        ({"sys/fs/cgroup/cpu.max": "what"}, 8),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            2,
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            8,
        ),
    ],
)
def test_a_container_has_its_share(machine: Make, files: dict[str, str], threads: int) -> None:
    assert free_cores(machine(**files), range(8), 0.0) == threads


def test_what_has_just_ended_is_not_busy(machine: Make) -> None:
    assert free_cores(machine(computing=0.0), range(8), 7.5) == 8
    assert free_cores(machine(computing=6.0), range(8), 7.5) == 2
    # A moment does not make a machine busier than it was.
    assert free_cores(machine(computing=8.0), range(8), 2.0) == 6


def test_where_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert free_cores(Machine(tmp_path), range(4), 1.0) == 3
    write(tmp_path / "proc/stat", "what")
    assert free_cores(Machine(tmp_path), range(4), 1.0) == 3


def test_what_is_set_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    share_the_cores()
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="not on this system")
def test_it_is_decided_before_pytorch_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setitem(sys.modules, "torch", sys)
    share_the_cores()
    assert os.environ == {}
    monkeypatch.delitem(sys.modules, "torch")
    share_the_cores()
    assert 1 <= int(os.environ["OMP_NUM_THREADS"]) <= (os.cpu_count() or 1)
