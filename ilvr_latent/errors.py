"""The one exception that a user is meant to read."""

from __future__ import annotations

from collections.abc import Collection


class InputError(ValueError):
    """Input that cannot be used: one sentence that names the value and the remedy.

    The command line prints it without a traceback and exits with 2; a node shows it in its
    red box. Anything else that is raised is a defect of ours.
    """


def check_choice(name: str, value: object, options: Collection[str]) -> None:
    """Refuse what is none of the options.

    Raises:
        InputError: it is not.
    """
    if value not in options:
        listed = ", ".join(repr(option) for option in options)
        raise InputError(f"The {name} is {value!r}; use one of {listed}.")
