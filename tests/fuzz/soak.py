"""A real ComfyUI for a long time: `python -m tests.fuzz.soak` prints what it bore.

Prompts one after another, interrupts at random moments, and prompts that nobody means between them.
The memory must stay, and a seed must give the same picture at the beginning, at the end and on a
server that is new.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from PIL import Image

from benchmarks.server import answered, ask, server
from tests.fuzz.hosts import hosts
from tests.fuzz.prompts import KINDS, OF_A_MODEL, Graph, hostile_prompt, prompt

PROMPTS, INTERRUPTS, HOSTILE = 500, 100, 100
# The server's memory counts from here on, when all that is kept has been made once.
SETTLED = 50
MOST_A_RUN = 0.02
# So many prompts use one model: the host loads it anew after those of another, and safetensors
# (0.8) keeps 28 bytes of each tensor that is read. Before it counts, every model has its turns.
STRETCH, FIRST_STRETCH = 25, 5
# oneDNN keeps what it has compiled for the last 1,024 shapes, which hostile sizes go on filling for
# longer than a soak takes.
KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "100"}
PROBE = 123
MOST_LETTERS = 400
MOST_SECONDS = 20


@dataclass
class Soak:
    """What a server bore.

    Args:
        address: of the server.
        process: of the server.
        random: of moments and prompts.
    """

    address: str
    process: int
    random: Random
    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def run(self, count: int, interrupts: int, hostile: int) -> None:
        """So many prompts, with interrupts in some, and hostile ones between."""
        stopped = set(self.random.sample(range(count), interrupts))
        between = Counter(self.random.choices(range(count), k=hostile))
        durations = [0.5]
        kinds = OF_A_MODEL[0]
        for number in range(count):
            if number < SETTLED and number % FIRST_STRETCH == 0:
                kinds = OF_A_MODEL[number // FIRST_STRETCH % len(OF_A_MODEL)]
            elif number >= SETTLED and number % STRETCH == 0:
                kinds = self.random.choice(OF_A_MODEL)
            graph = prompt(self.random.choice(kinds), self.random.randrange(2**32))
            begun = time.monotonic()
            queued = ask(f"{self.address}/prompt", {"prompt": graph})["prompt_id"]
            if number in stopped:
                time.sleep(self.random.uniform(0, 1.2) * durations[len(durations) // 2])
                ask(f"{self.address}/interrupt", {})
                self.ends["interrupts"] += 1
            self._end(queued, "a prompt")
            if number not in stopped:
                durations = sorted([*durations, time.monotonic() - begun])
            for _ in range(between[number]):
                self._hostile(kinds)
            self.memory.append(resident_megabytes(self.process))
            if number % 50 == 49:
                print(f"  {number + 1} of {count}: {self.memory[-1]:.1f} MB", flush=True)

    def _hostile(self, kinds: Sequence[str]) -> None:
        graph, what = hostile_prompt(self.random, kinds)
        try:
            queued = ask(f"{self.address}/prompt", {"prompt": graph})["prompt_id"]
        except urllib.error.HTTPError as refusal:
            self.ends["refused by the host"] += 1
            if refusal.code != 400:
                self.ends[f"the host: {refusal.code}"] += 1
            return
        self._end(queued, what)

    def _end(self, queued: str, what: str) -> None:
        """Wait for the end of a prompt and judge it."""
        record = self._record(queued)
        ask(f"{self.address}/history", {"delete": [queued]})
        messages = dict(record["status"]["messages"])
        error = messages.get("execution_error")
        if "execution_interrupted" in messages:
            self.ends["interrupted"] += 1
        elif error is None:
            self.ends["finished"] += 1
        elif not error["exception_type"].endswith("InputError"):
            self.faults.append(
                f"{what}: {error['exception_type']} in {error['node_type']}: "
                f"{error['exception_message'][:200]!r}"
            )
        else:
            self.ends["refused by a node"] += 1
            said = error["exception_message"].strip()
            if "\n" in said or len(said) > MOST_LETTERS:
                self.faults.append(f"{what}: {said[:500]!r}")

    def _record(self, queued: str) -> dict[str, Any]:
        """What the server says of a prompt; one that takes long, as it may, is interrupted."""
        place = f"{self.address}/history/{queued}"
        for _ in range(int(MOST_SECONDS * 20)):
            if said := ask(place):
                break
            time.sleep(0.05)
        else:
            self.ends["interrupted because they take long"] += 1
            ask(f"{self.address}/interrupt", {})
            said = answered(place)
        record: dict[str, Any] = said[queued]
        return record

    def picture(self, graph: Graph) -> str:
        """What identifies the pixels that a graph makes."""
        queued = ask(f"{self.address}/prompt", {"prompt": graph})["prompt_id"]
        record = answered(f"{self.address}/history/{queued}")[queued]
        (place,) = record["outputs"]["show"]["images"]
        with urllib.request.urlopen(f"{self.address}/view?{urlencode(place)}", timeout=60) as sent:
            pixels = Image.open(io.BytesIO(sent.read())).tobytes()
        return hashlib.sha256(pixels).hexdigest()

    def probes(self) -> list[str]:
        """The pictures of one seed, of each kind."""
        return [self.picture(prompt(kind, PROBE)) for kind in KINDS]


def resident_megabytes(process: int) -> float:
    """Memory of a process, on Linux, to the page."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def slope(values: list[float]) -> float:
    """Of the straight line nearest to them, per value."""
    n = len(values)
    if n < 2:
        return 0.0
    mean_x, mean_y = (n - 1) / 2, sum(values) / n
    over = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(values))
    return over / sum((x - mean_x) ** 2 for x in range(n))


def soaked(checkout: Path, python: str, version: str, count: float, seed: int) -> bool:
    """Soak one server, and print what it bore; whether all is well."""
    numbers = [max(1, round(each * count)) for each in (PROMPTS, INTERRUPTS, HOSTILE)]
    begun = time.monotonic()
    with _started(checkout, python) as (address, process):
        soak = Soak(address, process, Random(f"soak {seed}"))
        before = soak.probes()
        soak.run(*numbers)
        after = soak.probes()
    with _started(checkout, python) as (address, process):
        fresh = Soak(address, process, Random(0)).probes()
    settled = soak.memory[min(SETTLED, len(soak.memory) // 2) :]
    grown, same = slope(settled), before == after == fresh
    taken, first, last = time.monotonic() - begun, settled[0], settled[-1]
    print(f"ComfyUI {version}: {numbers[0]} prompts in {taken:.0f} s, seed {seed}")
    print(f"  {', '.join(f'{name} {number}' for name, number in sorted(soak.ends.items()))}")
    print(f"  memory {first:.1f} to {last:.1f} MB after {SETTLED}, {grown:+.4f} MB a run")
    print(f"  the same seed, beginning, end, new server: {'identical' if same else 'DIFFERENT'}")
    for fault in soak.faults:
        print(f"  FAULT {fault}")
    return same and grown <= MOST_A_RUN and not soak.faults


@contextmanager
def _started(checkout: Path, python: str) -> Iterator[tuple[str, int]]:
    """A server that has loaded the pack."""
    with server(checkout, python) as (address, process):
        answered(f"{address}/object_info/ILVRApply")
        yield address, process


def main() -> int:
    """Soak the ComfyUIs of this machine; 1 if one did not bear it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=float, default=1, help="scales the number of prompts")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.update(KERNELS)
    well = [
        soaked(host.checkout, str(host.python), host.version, options.count, options.seed)
        for host in hosts()
        if host.python is not None
    ]
    if not well:
        print("skipped: there is no ComfyUI with an environment at $COMFYUI_PATH or in ~/comfy")
    return int(not all(well))


if __name__ == "__main__":
    sys.exit(main())
