"""Axes of a grid: one setting and the values that it takes in turn."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

Reader = Callable[[str], Any]
ROW_LETTERS, COLUMN_LETTERS, COLUMN_LINES = 28, 18, 2


@dataclass(frozen=True)
class Axis:
    """A setting and its values.

    Attributes:
        name: of the setting; empty for the axis of a single place, which changes nothing.
        texts: the values as they were written.
        values: as they were read, one for each text.
    """

    name: str = ""
    texts: tuple[str, ...] = ("",)
    values: tuple[Any, ...] = (None,)

    def __len__(self) -> int:
        return len(self.values)

    def changes(self, place: int) -> dict[str, Any]:
        """The setting at a place of the axis, as keyword arguments."""
        return {self.name: self.values[place]} if self.name else {}

    @property
    def row_labels(self) -> list[str]:
        """What stands beside the rows of a sheet: name and value, on one line."""
        texts = (f"{self.name.replace('_', ' ')} {text}".strip() for text in self.texts)
        return [textwrap.shorten(text, ROW_LETTERS, placeholder=" ...") for text in texts]

    @property
    def column_labels(self) -> list[str]:
        """What stands above the columns: the values, on two lines where they are long."""
        wrapped = (
            textwrap.wrap(text, COLUMN_LETTERS, max_lines=COLUMN_LINES, placeholder=" ...")
            for text in self.texts
        )
        return ["\n".join(lines) for lines in wrapped]


def parse_axis(text: str, readers: Mapping[str, Reader]) -> Axis:
    """An axis as a user writes it: ``factor=2,4,8`` or ``prompt: red apple | tea, hot``.

    Args:
        text: a name, ``=`` or ``:``, and values between commas; between bars where there is one,
            so that values may have commas. Empty is the axis of a single place.
        readers: the settings that may vary, and how a value of each is read; a reader says what
            it cannot read by a ``ValueError``, whose words are kept if they are ours.

    Raises:
        InputError: there is no such setting, no value, or one that cannot be read.
    """
    if not text.strip():
        return Axis()
    ends = [text.index(mark) for mark in "=:" if mark in text]
    written = text[: min(ends)] if ends else text
    name = written.strip().replace("-", "_")
    if name not in readers:
        raise InputError(
            f"An axis varies {written.strip()!r}; write a setting and its values, such as "
            f"'{next(iter(readers))}: 2, 4', with one of {', '.join(readers)}."
        )
    rest = text[min(ends) + 1 :] if ends else ""
    texts = tuple(part.strip() for part in rest.split("|" if "|" in rest else ","))
    if not all(texts):
        raise InputError(
            f"The axis {text.strip()!r} has an empty value; write values with a comma (or a bar) "
            f"between them, such as {name}=A,B."
        )
    return Axis(name, texts, tuple(_read(name, value, readers[name]) for value in texts))


def _read(name: str, text: str, reader: Reader) -> Any:
    try:
        return reader(text)
    except InputError:
        raise
    except ValueError:
        raise InputError(
            f"The axis {name} has the value {text!r}, which is no such setting; correct it."
        ) from None


def check_apart(rows: Axis, columns: Axis) -> None:
    """Refuse two axes that vary the same.

    Raises:
        InputError: they do.
    """
    if rows.name and rows.name == columns.name:
        raise InputError(f"Rows and columns both vary {rows.name}; let one of them vary another.")


def one_of(name: str, options: tuple[str, ...]) -> Reader:
    """A reader of choices."""

    def read(text: str) -> str:
        if text not in options:
            raise InputError(f"The axis {name} has the value {text!r}; use {', '.join(options)}.")
        return text

    return read


def number(name: str, kind: type[int] | type[float], low: float, high: float) -> Reader:
    """A reader of whole or other numbers between two bounds."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(low) - 1
        if not low <= value <= high:
            what = "whole numbers" if kind is int else "numbers"
            raise InputError(
                f"The axis {name} has the value {text!r}; use {what} from {low:g} to {high:g}."
            )
        return value

    return read
