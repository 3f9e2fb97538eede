"""Train every embedded model at once on one GPU, within a time limit; nothing is fetched.

    python -m training.everything --pictures pictures.safetensors --minutes 9 --output DIR

Needs PyTorch, diffusers and transformers beside this repository, and the file that
``python -m training.styles`` writes on a machine with a network. Every 45 seconds the averaged
weights, logs and sheets are packed into the output as ``trained.tar.0``, ``.1`` and so on, of at
most 15 MB each; on the other side

    cat DIR/trained.tar.* | tar x -C ~/.cache/ilvr-training

lays them where ``python -m training.export_pixel`` and its relatives look for them.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from training import styles
from training.latents import SCALING
from training.loop import AVERAGED, LOG, SHEET

PART = 15_000_000
EVERY = 45  # seconds between checkpoints, and between archives
PACKED = (f"*/{AVERAGED}", f"*/{LOG}", f"*/{SHEET}", f"*/{SCALING}", "*/errors.txt")
# The share of the time that each takes; what follows "then" waits for what comes before.
AUTOENCODER, CLASSIFIER = 0.25, 0.3
PIXEL = "--wide --images 4000000 --batch-size 384 --learning-rate 9e-4"
# Minutes that no run's limit counts: its start and last figures, and what is encoded between two.
START, ENCODING = 0.4, 0.75


def commands(minutes: float, cache: Path, device: str) -> dict[str, list[str]]:
    """The runs that go side by side, each a list of modules with their options."""
    shared = f"--cache {shlex.quote(str(cache))} --device {device}"
    run = f"{shared} --every {EVERY}"
    # Of the large networks compiling would take longer than it saves in so short a run.
    small = run + (" --compile" if device == "cuda" else "")
    latent = max(minutes * (1 - AUTOENCODER) - 2 * START - ENCODING, 0.1)
    return {
        "pixel": [f"training.train_pixel --minutes {max(minutes - START, 0.1):.2f} {PIXEL} {run}"],
        "latent": [
            f"training.train_autoencoder --minutes {minutes * AUTOENCODER:.2f} {small}",
            f"training.latents --views 12 {shared}",
            f"training.train_latent --minutes {latent:.2f} {run}",
        ],
        "classifier": [f"training.train_classifier --minutes {minutes * CLASSIFIER:.2f} {run}"],
    }


def begun(name: str, modules: list[str], cache: Path) -> subprocess.Popen[bytes]:
    """One process that runs the modules one after the other; what it prints goes to the cache."""
    folder = cache / name
    folder.mkdir(parents=True, exist_ok=True)
    script = " && ".join(f"{shlex.quote(sys.executable)} -m {module}" for module in modules)
    with (folder / "errors.txt").open("wb") as printed:
        return subprocess.Popen(
            ["bash", "-c", script],
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def packed(cache: Path) -> Iterator[bytes]:
    """What is worth keeping so far as one archive, in parts."""
    archive = cache / "trained.tar"
    with tarfile.open(archive, "w") as tar:
        for pattern in PACKED:
            for path in sorted(cache.glob(pattern)):
                tar.add(path, path.relative_to(cache))
    with archive.open("rb") as file:
        while part := file.read(PART):
            yield part


def pack(cache: Path, output: Path) -> None:
    """Replace the parts in the output."""
    parts = 0
    for part in packed(cache):
        partial = output / "partial"
        partial.write_bytes(part)
        partial.replace(output / f"trained.tar.{parts}")
        parts += 1
    (output / f"trained.tar.{parts}").unlink(missing_ok=True)


def main() -> None:
    """Start the runs, pack now and then, and say how they ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pictures", type=Path, required=True, help="made by python -m training.styles")
    add("--minutes", type=float, default=9.0)
    add("--output", type=Path, required=True)
    add("--cache", type=Path, default=Path("/tmp/ilvr-training"), help="a folder of this machine")
    add("--device", default="cuda")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.cache / styles.FILE).unlink(missing_ok=True)
    (options.cache / styles.FILE).symlink_to(options.pictures.resolve())
    os.environ.setdefault("OMP_NUM_THREADS", "4")
    ends = time.monotonic() + 60 * options.minutes
    runs = {
        name: begun(name, modules, options.cache)
        for name, modules in commands(options.minutes, options.cache, options.device).items()
    }
    pack_at = time.monotonic() + EVERY
    while any(run.poll() is None for run in runs.values()) and time.monotonic() < ends + EVERY:
        time.sleep(1)
        if time.monotonic() > pack_at:
            pack(options.cache, options.output)
            pack_at = time.monotonic() + EVERY
    for name, run in runs.items():
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGTERM)
        print(f"{name}: exit status {run.wait()}")
    pack(options.cache, options.output)


if __name__ == "__main__":
    main()
