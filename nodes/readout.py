"""One line of text under a node while a graph runs, and in the log."""

from __future__ import annotations

import logging
import sys

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
