"""Hostile input by the thousand: `python -m tests.fuzz` prints a table, and fails on any fault."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.hosts import hosts
from tests.fuzz.watch import Case, Limits, Tally, attempt, quiet

# Cases of each kind where COUNT is 1, and what one case may take.
COUNTS = {"checkpoints": 10_000, "pictures": 3_000, "commands": 500, "nodes": 2_000}
LIMITS = {"pictures": Limits(megabytes=1000)}
SHOWN = 5
# Says to this program that it is run with the Python of a ComfyUI.
INSIDE = "ILVR_FUZZ_INSIDE"
Cases = Callable[[int], Case]


def cases_of(kind: str, folder: Path, seed: int) -> tuple[Cases, tuple[type[BaseException], ...]]:
    """The cases of a kind by their numbers, and what refusals of it are."""
    if kind == "checkpoints":
        from tests.fuzz import checkpoints

        return checkpoints.Checkpoints(folder, seed), checkpoints.REFUSALS
    if kind == "pictures":
        from tests.fuzz import pictures

        return pictures.Pictures(folder, seed), pictures.REFUSALS
    if kind == "commands":
        from tests.fuzz import commands

        return commands.Commands(folder, seed), commands.REFUSALS
    from tests.fuzz import node_calls

    calls = node_calls.NodeCalls(folder, seed)
    return calls, (calls.pack.ilvr_latent.InputError,)


def tried(kind: str, count: int, seed: int, only: int | None = None) -> Tally:
    """Try so many cases of a kind, or one of them."""
    quiet()
    tally = Tally(kind, LIMITS.get(kind, Limits()))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ILVR_CACHE"] = str(Path(folder) / "cache")
        cases, refusals = cases_of(kind, Path(folder), seed)
        begun = time.monotonic()
        for number in range(count) if only is None else [only]:
            attempt(cases(number), refusals, tally)
            if number % 500 == 499:
                print(f"  {kind}: {number + 1} in {time.monotonic() - begun:.0f} s", flush=True)
    return tally


def main() -> int:
    """Try what the arguments say; 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*COUNTS, []])
    parser.add_argument("--count", type=float, default=1, help="scales the numbers of cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one case, by its number")
    options = parser.parse_args()
    kinds = list(options.kinds or COUNTS)
    failed = False
    if "nodes" in kinds and "comfy" not in os.environ.get(INSIDE, ""):
        kinds.remove("nodes")
        failed = nodes_in_hosts(sys.argv[1:])
    tallies = []
    for kind in kinds:
        count = max(1, round(COUNTS[kind] * options.count))
        tallies.append(tried(kind, count, options.seed, options.only))
    if tallies:
        print(table(tallies))
    return int(failed or any(tally.faults for tally in tallies))


def nodes_in_hosts(arguments: list[str]) -> bool:
    """Try the nodes in each ComfyUI of this machine; whether there was a fault."""
    os.environ[INSIDE] = "comfy"
    found, failed = list(hosts()), False
    if not found:
        print("nodes: skipped, there is no ComfyUI at $COMFYUI_PATH or in ~/comfy")
    for host in found:
        if host.python is None:
            print(f"nodes: skipped in {host.checkout}, which has no environment beside it")
            continue
        print(f"nodes: ComfyUI {host.version}", flush=True)
        options = [one for one in arguments if one not in COUNTS]
        failed |= host.run("tests.fuzz", "nodes", *options) != 0
    return failed


def table(tallies: list[Tally]) -> str:
    """A row for each kind, and the first faults of each class."""
    head = "| kind | cases | accepted | refused | faults | slowest | largest | all |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for t in tallies:
        faults = sum(map(len, t.faults.values()))
        lines.append(
            f"| {t.name} | {t.cases} | {t.accepted} | {t.refused} | {faults} | {t.slowest:.1f} s "
            f"| {t.largest:.0f} MB | {t.seconds:.0f} s |"
        )
    for t in tallies:
        for kind, found in t.faults.items():
            lines.append(f"\n{t.name}: {kind}, {len(found)}")
            lines += [f"  {what}" for what in found[:SHOWN]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
