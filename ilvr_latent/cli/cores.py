"""How many threads a command computes with.

``OMP_NUM_THREADS`` where it is set, and what PyTorch does by itself where a system tells too little
(macOS, Windows). Else the cores that are free, at least one:

    C      physical cores that this process may run on, at most the CPUs of its container
    P      physical cores of the machine
    busy   cores that others compute on: the load average, or the last 0.1 s where that is less
    C (1 - busy / P), rounded

Threads wait for one another at the end of every layer; one that shares its core makes the others
wait, and a program many times slower than with one thread. Of two hyperthreads only one helps. The
load average alone would count what has just ended, such as the command before this one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

LOOKED_AT = 0.1
"""Seconds."""


class Machine:
    """What Linux says of its cores.

    Args:
        root: of the file system.
        wait: between two looks, in seconds.
    """

    def __init__(self, root: Path = Path("/"), wait: Callable[[float], None] = time.sleep) -> None:
        self._root, self._wait = root, wait

    def cores(self, processors: Iterable[int]) -> int:
        """Physical cores that processors belong to; each is one where nothing is said."""
        return len({self._siblings(number) for number in processors})

    def _siblings(self, number: int) -> str:
        place = f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"
        return self._read(place) or str(number)

    def quota(self) -> float | None:
        """CPUs that the container has; ``None``: there is no limit."""
        given = (self._read("sys/fs/cgroup/cpu.max") or "").split()
        if not given:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            given = [self._read(f"sys/fs/cgroup/cpu/{name}") or "" for name in names]
        try:
            quota, period = (float(each) for each in given)
        except ValueError:
            return None
        return quota / period if quota > 0 and period > 0 else None

    def busy(self, load: float) -> float:
        """Processors that are computing.

        Args:
            load: the load average, which is taken where it is low or nothing else is said.
        """
        before = self._ticks()
        if before is None or load < 0.5:
            return load
        self._wait(LOOKED_AT)
        after = self._ticks()
        if after is None or after[1] <= before[1]:
            return load
        share = 1 - (after[0] - before[0]) / (after[1] - before[1])
        return min(load, share * (os.cpu_count() or 1))

    def _ticks(self) -> tuple[int, int] | None:
        """Ticks of all processors: without work (idle, or waiting for a disk), and in all."""
        first = (self._read("proc/stat") or "").partition("\n")[0].split()
        if len(first) < 6 or first[0] != "cpu":
            return None
        # What guests take, from the ninth on, is in the first of them, too.
        ticks = [int(number) for number in first[1:9]]
        return ticks[3] + ticks[4], sum(ticks)

    def _read(self, place: str) -> str | None:
        try:
            return (self._root / place).read_text().strip()
        except OSError:
            return None


def free_cores(machine: Machine, allowed: Iterable[int], load: float) -> int:
    """Threads to compute with.

    Args:
        machine: what is said of its cores.
        allowed: processors that this process may run on.
        load: the load average.
    """
    all_of_it = machine.cores(range(os.cpu_count() or 1))
    own: float = machine.cores(allowed)
    quota = machine.quota()
    if quota is not None:
        own = min(own, quota)
    return max(1, round(own * (1 - machine.busy(load) / all_of_it)))
