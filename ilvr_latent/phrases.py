"""Lines of text that can be said in another language."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any


class Phrase(str):
    """A text in English that knows what it was made of.

    Args:
        template: in English, with ``{names}``; translations are found by it.
        **values: of the names: phrases themselves, or what is the same in every language.

    Attributes:
        template: as given.
        values: as given.
    """

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Phrase:
        """Fill the template."""
        phrase = super().__new__(cls, template.format(**values))
        phrase.template, phrase.values = template, values
        return phrase

    def parts(self) -> dict[str, Any]:
        """The template and the values, of phrases likewise, as JSON can hold them."""
        values = {
            name: value.parts() if isinstance(value, Phrase) else str(value)
            for name, value in self.values.items()
        }
        return {"template": self.template, "values": values}


def joined(texts: Sequence[str]) -> str:
    """A list of at least one text, as people write it."""
    return reduce(lambda these, those: Phrase("{these}, {those}", these=these, those=those), texts)


def sentences(texts: Sequence[str]) -> str:
    """At least one sentence, one after the other."""
    return reduce(lambda these, those: Phrase("{these} {those}", these=these, those=those), texts)


def spans(indices: Sequence[int]) -> str:
    """Ascending step numbers from 0 as people read them: ``[0, 1, 2, 5]`` is "1 to 3, 6"."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return joined([_span(run[0] + 1, run[-1] + 1) for run in runs])


def _span(first: int, last: int) -> str:
    return Phrase("{first} to {last}", first=first, last=last) if first < last else str(first)
