"""One row of a data set: a picture that is to be translated, and what is said of it alone."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ..cli.options import axes
from ..errors import InputError
from ..pictures.files import shortened
from ..pictures.images import SUFFIXES
from .place import Place

# What a row may say besides the option's own names.
OTHER_NAMES = {"class": "class_label"}
KEY, IMAGE, MASK = "key", "image", "mask"


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        key: what it is known by; the same from run to run, and no other row's.
        image: where the picture lies; ``None`` if the row says of none.
        mask: where its own mask lies.
        settings: options of this row alone.
        error: why it cannot be translated, if that is known already.
        name: of its results, without factor and seed.
    """

    key: str
    image: Place | None = None
    mask: Place | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: str | None = None
    name: str = ""

    @property
    def reference(self) -> str:
        """What its picture is called."""
        in_a_file = self.image is not None and self.image.part is None and self.image.cell is None
        return PurePosixPath(self.image.path if self.image and in_a_file else self.key).name

    def written(self) -> str:
        """As a line of JSON."""
        record: dict[str, Any] = {"key": self.key, "name": self.name}
        for place in (IMAGE, MASK):
            if (value := getattr(self, place)) is not None:
                record[place] = value.written()
        if self.settings:
            record["settings"] = dict(self.settings)
        if self.error is not None:
            record["error"] = self.error
        return json.dumps(record)

    @classmethod
    def of(cls, line: str) -> Row:
        """The inverse of :meth:`written`."""
        record: dict[str, Any] = json.loads(line)
        for name in (IMAGE, MASK):
            if name in record:
                record[name] = Place.of(record[name])
        return cls(**record)


def read_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a row's values that are options, read as the options are; empty ones are left out.

    Raises:
        InputError: a value cannot be read.
    """
    readers, found = axes(), {}
    for column, value in values.items():
        name = column.strip().replace("-", "_")
        name = OTHER_NAMES.get(name, name)
        if name not in readers or is_missing(value):
            continue
        # A column of whole numbers, some of them missing, has become one of others.
        whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
        try:
            found[name] = readers[name](str(int(value) if whole else value))
        except InputError:
            raise
        except ValueError:
            raise InputError(
                f"The column {column!r} has the value {value!r}, which is no such setting; "
                "correct it."
            ) from None
    return found


def is_missing(value: object) -> bool:
    """Whether a table says nothing here."""
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    return value is None or (isinstance(value, (str, bytes)) and not value)


def known_columns() -> tuple[str, ...]:
    """What a row may say, in any order."""
    return (KEY, IMAGE, MASK, *axes(), *OTHER_NAMES)


def name_of(key: str, *, dots: bool = True) -> str:
    """What the results of a row are named after: its key, as a path without an ending.

    Args:
        key: of the row.
        dots: whether the name may have them: what is in tar shards ends at the first.
    """
    path = PurePosixPath(key)
    folders = [shortened(part) for part in path.parts[:-1] if part not in ("/", ".", "..")]
    # What looks like an ending in other keys may be all that tells them apart.
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    stem = stem if stem not in ("", "..") else "row"
    name = "/".join([*folders, shortened(stem)])
    return name if dots else name.replace(".", "_")
