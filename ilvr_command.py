"""The command ``ilvr``, which can be stopped before what it needs is imported.

A module of its own: whatever is in the package imports torch first, which takes a second.
"""

from __future__ import annotations

import signal


def main() -> int:
    """Run the command; Ctrl-C while it is still being imported ends it without a traceback."""
    heeded = signal.getsignal(signal.SIGINT)
    if heeded is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ilvr_latent.cli import main as command

    signal.signal(signal.SIGINT, heeded)
    return command()
