"""``ilvr translate`` against a bare loop, and its memory against the number of rows.

    python -m benchmarks.scale loop --rows 2000
    python -m benchmarks.scale run --rows 2000 --workers 2
    python -m benchmarks.scale run --rows 10000 --workers 1 --tiny

Each prints a line of JSON: seconds on the clock and of the CPU, of all processes together, and the
most memory that each kind of process had. ``--tiny`` takes a random network for 16x16 pixels.
Linux; compare runs that take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ilvr_latent.adm import ADMConfig, save_adm
from ilvr_latent.adm.unet import ADM, ADMUNet
from ilvr_latent.cli.main import build_parser
from ilvr_latent.scale import command
from ilvr_latent.scale.progress import Progress
from ilvr_latent.scale.reading import request_of
from ilvr_latent.scale.source import find_source
from ilvr_latent.scale.store import png
from ilvr_latent.scale.translator import Made, Translator
from ilvr_latent.scale.worker import Outcome

TICKS = os.sysconf("SC_CLK_TCK")
TINY = ADMConfig(
    image_size=16,
    num_channels=32,
    num_res_blocks=1,
    channel_mult=(1,),
    attention_levels=(),
    noise_schedule="linear",
    num_heads=1,
    num_head_channels=16,
    resblock_updown=True,
    learn_sigma=True,
)


def make_source(folder: Path, rows: int, side: int) -> None:
    """Random pictures, a thousand in a folder."""
    for n in range(rows):
        path = folder / f"{n // 1000:03d}/{n % 1000:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(n).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(values).save(path, compress_level=1)


def make_model(path: Path) -> None:
    """A random network that takes milliseconds."""
    torch.manual_seed(0)
    save_adm(ADM(ADMUNet(TINY), TINY).eval(), path, dtype=torch.float32)


class Tree:
    """This process and all that it started, with those that these started."""

    def __init__(self) -> None:
        self.most: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    def look(self) -> None:
        """Take down what they have used so far."""
        found = {int(p.name): _read(p) for p in Path("/proc").glob("[0-9]*")}
        states = {pid: state for pid, state in found.items() if state is not None}
        cpu: dict[str, float] = {}
        for pid, state in states.items():
            above = pid
            while above in states and above != os.getpid():
                above = states[above]["parent"]
            if above == os.getpid():
                kind = "driver" if pid == above else state["kind"]
                cpu[kind] = cpu.get(kind, 0.0) + state["cpu"]
                self.most[kind] = max(self.most.get(kind, 0.0), state["megabytes"])
        self.cpu = cpu


def _read(process: Path) -> dict[str, Any] | None:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        status = (process / "status").read_text()
        line = (process / "cmdline").read_bytes()
    except OSError:
        return None
    peak = next((row.split()[1] for row in status.splitlines() if row.startswith("VmHWM")), "0")
    kind = "worker" if line.startswith(b"ray::MapWorker") else "other"
    return {
        "parent": int(fields[1]),
        "cpu": sum(map(int, fields[11:13])) / TICKS,
        "megabytes": int(peak) / 1024,
        "kind": kind,
    }


def loop(options: argparse.Namespace) -> int:
    """The same pictures, one after the other in this process, without Ray, index and ledger."""
    torch.set_num_threads(1)
    source, translator = find_source(options.source), Translator(options, 1)
    options.output.mkdir()
    made = 0
    requests = (request_of(row, source.root, row) for row in source.rows())
    for result in translator.translate(requests):
        assert isinstance(result, Made)
        name = f"{result.request.key.replace('/', '-')}.png"
        (options.output / name).write_bytes(png(result.picture, result.written))
        made += 1
    return made


def run(options: argparse.Namespace, tree: Tree) -> int:
    """With workers."""

    class Watched(Progress):
        looked = 0.0

        def _add(self, outcome: Outcome) -> None:
            super()._add(outcome)
            if time.monotonic() - self.looked > 1 or self._done == self._left:
                self.looked = time.monotonic()
                tree.look()

    vars(command)["Progress"] = Watched
    said = command.carry_out(options)
    return int(str(said.record["pictures"]))


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("loop", "run"))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--steps", default="2")
    parser.add_argument("--tiny", action="store_true")
    asked, tree = parser.parse_args(), Tree()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_source(folder / "source", asked.rows, 16 if asked.tiny else 64)
        words = ["translate", str(folder / "source"), "--output", str(folder / "out")]
        words += ["--factor", "8", "--steps", asked.steps, "--device", "cpu"]
        if asked.tiny:
            make_model(folder / "tiny.safetensors")
            words += ["--model", str(folder / "tiny.safetensors")]
        options = build_parser("translate").parse_args([*words, "--workers", str(asked.workers)])
        started, before = time.monotonic(), time.process_time()
        made = loop(options) if asked.what == "loop" else run(options, tree)
        took = time.monotonic() - started
        cpu = {"loop": time.process_time() - before} if asked.what == "loop" else tree.cpu
    peak = {kind: round(megabytes, 1) for kind, megabytes in sorted(tree.most.items())}
    print(
        json.dumps(
            {
                "what": asked.what,
                "workers": asked.workers,
                "pictures": made,
                "seconds": round(took, 1),
                "cpu_seconds": {kind: round(seconds, 1) for kind, seconds in sorted(cpu.items())},
                "megabytes": peak,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
