"""Memory of a real ComfyUI server over many queued runs with ILVR Apply."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
EVERY = 20
# What is begun after so many seconds, the start of the server included, is not begun.
LIMIT = 360


def graph(seed: int) -> dict[str, Any]:
    """The embedded pixel model and two steps; the seed makes the host run it again."""
    return {
        "model": _node("ILVRLoadADM", ckpt_name="emoji64.safetensors (embedded)"),
        "label": _node("ILVRADMConditioning", class_label=-1),
        "latent": _node("ILVREmptyPixels", width=64, height=64, batch_size=1),
        "apply": _node(
            "ILVRApply", model=["model", 0], reference=["latent", 0], factor=4, start_percent=0,
            end_percent=1, weight=1,
        ),
        "sampler": _node(
            "KSampler", model=["apply", 0], positive=["label", 0], negative=["label", 1],
            latent_image=["latent", 0], seed=seed, steps=2, cfg=1, sampler_name="euler",
            scheduler="normal", denoise=1,
        ),
        "decode": _node("VAEDecode", samples=["sampler", 0], vae=["model", 1]),
        "show": _node("PreviewImage", images=["decode", 0]),
    }  # fmt: skip


def _node(name: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": name, "inputs": inputs}


def ask(url: str, body: object = None) -> Any:
    """What the server says, as JSON; ``None`` where it says nothing."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        said = answer.read()
    return json.loads(said) if said else None


@contextmanager
def server(comfyui: Path, python: str = sys.executable) -> Iterator[tuple[str, int]]:
    """A ComfyUI with nothing but this pack: its address and its process.

    Args:
        comfyui: the checkout.
        python: with its requirements.
    """
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        base = Path(folder)
        for name in ("custom_nodes", "user", "input", "output"):
            (base / name).mkdir()
        (base / "custom_nodes" / "ilvr-latent").symlink_to(ROOT)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        command = [
            python, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port),
            "--base-directory", folder, "--disable-auto-launch", "--preview-method", "auto",
        ]  # fmt: skip
        with (base / "log.txt").open("w") as log:
            process = subprocess.Popen(command, cwd=comfyui, stdout=log, stderr=log)
            try:
                yield f"http://127.0.0.1:{port}", process.pid
            finally:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def answered(url: str, seconds: float = 300) -> Any:
    """What the address says once it says anything."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := ask(url):
                return answer
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"No answer from {url} in {seconds:g} s.")


def resident_megabytes(process: int) -> int:
    """Memory of a process, on Linux."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


def queue(address: str, seed: int) -> None:
    """One run of the graph, from the queue to its end."""
    queued = ask(f"{address}/prompt", {"prompt": graph(seed)})["prompt_id"]
    status = answered(f"{address}/history/{queued}")[queued]["status"]
    if status["status_str"] != "success":
        raise SystemExit(f"Run {seed} failed: {status}")


def memory_over(
    run: Callable[[int], None],
    memory: Callable[[], int],
    *,
    runs: int,
    end: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[int, list[int]]:
    """Run again and again, and look at the memory after the first run and after every few more.

    Args:
        run: does one, told which.
        memory: the server's now, in MB.
        runs: how many, if there is time.
        end: no run but the first begins after this, by the clock.
        clock: in seconds.

    Returns:
        How many runs were made, and what was found.
    """
    found: list[int] = []
    for i in range(runs):
        if i and clock() >= end:
            return i, found
        run(i)
        if i == 0 or (i + 1) % EVERY == 0:
            found.append(memory())
            print(f"  run {i + 1} of {runs}: {found[-1]} MB", flush=True)
    return runs, found


def measure(comfyui: Path, *, runs: int = 200, seconds: float = LIMIT) -> None:
    """Print the server's memory after the first run and after every few more."""
    end = time.monotonic() + seconds
    print(f"\nMemory of a server, {runs} runs or {seconds / 60:g} minutes:", flush=True)
    with server(comfyui) as (address, process):
        answered(f"{address}/object_info/ILVRApply", seconds)
        done, memory = memory_over(
            partial(queue, address), partial(resident_megabytes, process), runs=runs, end=end
        )
    short = "" if done == runs else f" (time was up; {runs} were wanted)"
    print(f"After run 1 and every {EVERY} of {done} runs{short}, MB: {memory}")
