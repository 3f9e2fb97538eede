"""The one exception that a user is meant to read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

MOST_LETTERS, FROM_THE_END = 400, 150


class InputError(ValueError):
    """Input that cannot be used: one sentence that names the value and the remedy.

    The command line prints it without a traceback and exits with 2; a node shows it in its
    red box. Anything else that is raised is a defect of ours. Names and values from files may be
    of any length and hold anything: the sentence is one printable line of at most 400 characters,
    the middle left out of a longer one.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(_in_one_line(sentence))


def check_choice(name: str, value: object, options: Collection[str]) -> None:
    """Refuse what is none of the options.

    Raises:
        InputError: it is not.
    """
    if value not in options:
        listed = ", ".join(repr(option) for option in options)
        raise InputError(f"The {name} is {value!r}; use one of {listed}.")


@contextmanager
def about(name: object) -> Iterator[None]:
    """Name the file in the refusals of the block that do not."""
    try:
        yield
    except InputError as error:
        if str(name) in str(error):
            raise
        raise type(error)(f"{str(name)!r}: {error}") from error


def _in_one_line(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    if len(plain) <= MOST_LETTERS:
        return plain
    cut = " [...] "
    return plain[: MOST_LETTERS - FROM_THE_END - len(cut)] + cut + plain[-FROM_THE_END:]
