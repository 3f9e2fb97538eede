"""One line of text under a node while a graph runs, and in the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

logger = logging.getLogger(__name__)


def show(node_id: str | None, text: str) -> None:
    """Show ``text`` on the node, where a server is there to show it; never an error.

    Args:
        node_id: of the node in the graph; ``None`` where it is not known.
        text: one line, which takes the place of what the node showed before.
    """
    # Not imported: outside the server (a test, a script) there is nobody to tell.
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    send = getattr(server, "send_progress_text", None)
    if send is not None and node_id is not None:
        send(text, node_id)


def spans(indices: Sequence[int]) -> str:
    """Ascending step numbers from 0 as people read them: ``[0, 1, 2, 5]`` is "1 to 3, 6"."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ", ".join(
        f"{run[0] + 1} to {run[-1] + 1}" if len(run) > 1 else f"{run[0] + 1}" for run in runs
    )
