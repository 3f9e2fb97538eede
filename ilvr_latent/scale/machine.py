"""What Ray is asked for: a cluster, workers on it, and how each of them behaves."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError

LOCAL = "local"
# Through a client; what it is given runs in the cluster.
FAR = "ray://"
# Pieces are texts and outcomes numbers: what is there by default, a third of the memory, is not
# needed. Ray takes no less than this.
OBJECT_STORE_BYTES = 80 * 2**20
SECONDS_TO_ANSWER = 5.0


@dataclass(frozen=True)
class Workers:
    """How many workers, and what each of them gets.

    Attributes:
        count: of workers.
        cpus: of a worker.
        gpus: of a worker; a part of one, or 0.
    """

    count: int
    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def device(self) -> str:
        """What ``--device auto`` is."""
        return "cuda" if self.gpus else "cpu"

    @property
    def resources(self) -> dict[str, Any]:
        """As Ray's tasks and actors take them."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}


def require_ray() -> Any:
    """Ray with its data sets, or a sentence.

    Raises:
        InputError: it is not installed.
    """
    # Nothing of a job is anybody else's business.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray.data
    except ImportError:
        raise InputError(
            "Data sets need the Python package 'ray'; install it with pip install 'ray[data]', or "
            "with the extra 'scale' of this package."
        ) from None
    return ray


@contextlib.contextmanager
def cluster(address: str, workers: int | None) -> Iterator[Any]:
    """Ray, connected; a cluster that was started here ends with the block.

    Args:
        address: ``local`` starts one on this machine, ``auto`` finds the one that this machine is
            part of, ``ray://HOST:PORT`` is one elsewhere.
        workers: how many there will be at the least, for one that is started here.

    Raises:
        InputError: there is none at this address.
    """
    ray = require_ray()
    if ray.is_initialized():
        yield _quiet(ray)
        return
    far = address.startswith(FAR)
    common: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": far}
    if address == LOCAL:
        # A worker that waits for another one's core would wait for ever.
        common |= {
            "num_cpus": max(workers or 0, os.cpu_count() or 1),
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }
    try:
        _knock(address)
        with _silent(), _kept_end():
            ray.init(address=address, **common)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise InputError(
            f"There is no Ray cluster at {address!r} ({error}); start one with 'ray start --head', "
            "or use --address local."
        ) from None
    try:
        yield _quiet(ray)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Ray looks for minutes for a cluster that is not there.

    Raises:
        OSError: nobody answers.
    """
    host, mark, port = address.removeprefix(FAR).rpartition(":")
    if mark and port.isdecimal():
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Ray's C++ parts write to standard error what they are about to leave out."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _kept_end() -> Iterator[None]:
    """Ray's own answer to SIGTERM is a crash: the one before it closes what is open."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _quiet(ray: Any) -> Any:
    """Progress is shown by us, and what goes wrong is said in one sentence."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # What these say stays in the files of Ray's session.
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler) and type(handler).__module__[:4] == "ray.":
            handler.setLevel(logging.CRITICAL)
    return ray


def choose_workers(ray: Any, count: int | None, gpus: float, device: str) -> Workers:
    """How many workers the cluster has room for.

    Args:
        ray: connected.
        count: that was asked for, or ``None`` for as many as there is room for.
        gpus: of a worker, such as 0.5, where there are any.
        device: that was asked for, or ``auto``.

    Raises:
        InputError: there is no such device, or no room for so many.
    """
    there = ray.cluster_resources()
    has = there.get("GPU", 0.0)
    if device.startswith("cuda") and not has:
        raise InputError(f"--device is {device} and the cluster has no GPU; use --device cpu.")
    on_gpu = bool(has) and device in ("auto", "cuda")
    room = int(has / gpus + 1e-6) if on_gpu else int(there.get("CPU", 0.0))
    if room < 1 or (count is not None and count > room):
        what = f"{has:g} GPUs, {gpus:g} a worker" if on_gpu else f"{room} CPUs, one a worker"
        raise InputError(
            f"--workers is {count or 'auto'} and the cluster has {what}; use fewer, or another "
            "cluster."
        )
    return Workers(count or room, 1.0, gpus if on_gpu else 0.0)


def settle_down(device: str, folder: Path) -> None:
    """In a worker: paths mean what they mean to the user, and a core is not shared.

    Args:
        device: of the model.
        folder: that relative paths are counted from.
    """
    if folder.is_dir():
        os.chdir(folder)
    if device == "cpu":
        # The last bits of a network's output depend on the number of threads.
        torch.set_num_threads(1)
