"""How far a run is: a bar on a terminal; elsewhere, such as in the log of a cluster, lines."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable

from ..cli.common import duration
from .worker import Outcome

SECONDS_BETWEEN_LINES = 30.0


class Progress(contextlib.AbstractContextManager["Progress"]):
    """Of one run, on standard error.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all = self._left = self._done = self._errors = 0
        self._first: tuple[float, int] | None = None
        self._said = clock()

    def begin(self, rows: int, left: int) -> Callable[[Outcome], None]:
        """Show that a run begins.

        Args:
            rows: of the data set.
            left: of them that are to be done.
        """
        self._all, self._left = rows, left
        if left < rows:
            self._say(f"{rows - left:,} of {rows:,} rows are done already")
        return self._add

    def __exit__(self, *_: object) -> None:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _add(self, outcome: Outcome) -> None:
        self._done += outcome.rows
        self._errors += outcome.errors
        now = self._clock()
        if self._first is None:
            # Workers that start are no measure of those that work.
            self._first = now, self._done
        if sys.stderr.isatty():
            print(f"\r\033[K{self.text}", end="", file=sys.stderr, flush=True)
        elif now - self._said >= SECONDS_BETWEEN_LINES:
            self._say(self.text)

    @property
    def text(self) -> str:
        """Rows, rate, time that is left, errors."""
        words = [f"{self._all - self._left + self._done:,} of {self._all:,} rows"]
        then, done = self._first or (self._clock(), 0)
        passed = self._clock() - then
        if passed > 0 and self._done > done:
            rate = (self._done - done) / passed
            words += [f"{rate:.2f} rows/s", f"{duration((self._left - self._done) / rate)} left"]
        return ", ".join([*words, f"{self._errors:,} errors"])

    def _say(self, text: str) -> None:
        self._said = self._clock()
        print(f"ilvr: {text}", file=sys.stderr, flush=True)
