"""One line of text under a node while a graph runs, and in the log."""

from __future__ import annotations

import sys

from ..ilvr_latent.phrases import Phrase

# web/phrases.js listens to it.
EVENT = "ilvr.phrase"


def show(node_id: str | None, text: str) -> None:
    """Show ``text`` on the node, where a server is there to show it; never an error.

    Args:
        node_id: of the node in the graph; ``None`` where it is not known.
        text: one line, which takes the place of what the node showed before; of a phrase, the
            page is told first what it was made of, and shows it in its language.
    """
    # Not imported: outside the server (a test, a script) there is nobody to tell.
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    send = getattr(server, "send_progress_text", None)
    if server is None or send is None or node_id is None:
        return
    if isinstance(text, Phrase):
        server.send_sync(EVENT, {"text": str(text), **text.parts()})
    send(text, node_id)
