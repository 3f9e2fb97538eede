"""One case under watch: what it says, how long it takes, what it takes up, and what it starts."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST_LETTERS = 400
# What hangs is ended after so many seconds, and reported.
HANGS = 30
# Events of Python that nothing that reads a file has a reason for.
STARTS = frozenset(
    (
        *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.fork"),
        *("os.forkpty", "pty.spawn", "subprocess.Popen", "webbrowser.open", "socket.connect"),
    )
)


class Hangs(BaseException):
    """A case took far too long; nothing in its way may catch this."""


class Canaries:
    """What hostile files would run, and programs that are started."""

    def __init__(self) -> None:
        self.sung: list[str] = []
        self._watching = False
        sys.addaudithook(self._heard)

    def _heard(self, event: str, _: tuple[Any, ...]) -> None:
        if self._watching and event in STARTS:
            self.sung.append(event)
            raise PermissionError(f"{event} in a test")

    @contextlib.contextmanager
    def watching(self, on: bool = True) -> Iterator[None]:
        """Listen while the block runs; what would start a program is kept from it."""
        self.sung.clear()
        self._watching = on
        try:
            yield
        finally:
            self._watching = False


CANARIES = Canaries()


def sing(*_: object) -> dict[str, object]:
    """What the code in a hostile file calls."""
    CANARIES.sung.append("code of a file")
    return {}


@dataclass(frozen=True)
class Case:
    """Something to try.

    Attributes:
        what: enough to make it again by hand.
        action: tries it; returns, or raises a refusal.
        named: texts of which a refusal has one: the file, or the inputs that are wrong.
        starts: it starts a process itself, so that programs are not watched for.
    """

    what: str
    action: Callable[[], object]
    named: Sequence[str]
    starts: bool = False


@dataclass(frozen=True)
class Limits:
    """What one case may take."""

    seconds: float = 5
    megabytes: float = 500


@dataclass
class Tally:
    """What was found over many cases."""

    name: str
    limits: Limits
    cases: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0
    slowest: float = 0
    largest: float = 0
    faults: dict[str, list[str]] = field(default_factory=dict)

    def fault(self, kind: str, what: str) -> None:
        """Note one."""
        self.faults.setdefault(kind, []).append(what)


def attempt(case: Case, refusals: tuple[type[BaseException], ...], tally: Tally) -> None:
    """Try a case and note what is wrong with how it ends.

    Args:
        case: to try.
        refusals: exceptions that a user is meant to read.
        tally: where it is noted.
    """
    # Of this process, whatever else the machine does; what waits is ended by the clock.
    before, begun = _forget_peak(), time.process_time()
    try:
        # A process imports everything anew, on a machine that may be busy.
        with CANARIES.watching(not case.starts), _ended_after(HANGS * (10 if case.starts else 1)):
            case.action()
        tally.accepted += 1
    except refusals as refusal:
        tally.refused += 1
        if wrong := _wrong_with(str(refusal), case.named):
            tally.fault(wrong, f"{case.what}: {str(refusal)[:500]!r}")
    except Hangs:
        tally.fault("hangs", case.what)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        said = f"{type(error).__name__} at {place}: {str(error)[:200]!r}"
        tally.fault("raw exception", f"{case.what}: {said}\n{_short(error)}")
    seconds, peak = time.process_time() - begun, _memory("VmHWM") - before
    tally.cases += 1
    tally.seconds += seconds
    tally.slowest, tally.largest = max(tally.slowest, seconds), max(tally.largest, peak)
    if seconds > tally.limits.seconds:
        tally.fault("slow", f"{case.what}: {seconds:.1f} s")
    if peak > tally.limits.megabytes:
        tally.fault("large", f"{case.what}: {peak:.0f} MB")
    for event in CANARIES.sung:
        tally.fault("canary", f"{case.what}: {event}")


def _short(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "fuzz" not in f.filename]
    return "    " + " < ".join(reversed(ours[-7:]))


def _wrong_with(said: str, named: Sequence[str]) -> str | None:
    if "\n" in said or not said.isprintable():
        return "more than a line"
    if len(said) > MOST_LETTERS:
        return "too long"
    if not any(name.lower() in said.lower() for name in named):
        return "names neither file nor input"
    return None


@contextlib.contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _forget_peak() -> float:
    """The memory that is taken up now, in MB; its highest value is that from now on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> float:
    """Of this process in MB; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def quiet() -> None:
    """One thread, no warnings, no log; the tables are what is read."""
    import logging
    import warnings

    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
