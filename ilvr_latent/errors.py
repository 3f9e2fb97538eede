"""The one exception that a user is meant to read."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used: one sentence that names the value and the remedy.

    The command line prints it without a traceback and exits with 2; a node shows it in its
    red box. Anything else that is raised is a defect of ours.
    """
