"""From a row to what the translator takes: its pictures are read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

from PIL import Image

from ..errors import InputError, about
from ..pictures.images import decode_image
from .ledger import Sample
from .place import Place
from .row import Row
from .translator import Request, Stop

T = TypeVar("T")


def request_of(row: Row, root: Path, token: T, done: Collection[Sample] = ()) -> Request[T]:
    """A row with its pictures.

    Args:
        row: as it is in the index.
        root: of the source.
        token: for the request.
        done: pictures that are there already.

    Raises:
        InputError: the row is not one that can be translated.
        Stop: the whole source is gone.
    """
    if row.error is not None or row.image is None:
        raise InputError(row.error or f"{row.key!r} has no picture; name one.")
    try:
        image = _picture(row.image, root, row.key)
        mask = None if row.mask is None else _picture(row.mask, root, f"the mask of {row.key}")
    except InputError:
        _check_root(root)
        raise
    return Request(token, row.key, row.reference, image, mask, row.settings, done)


def _picture(place: Place, root: Path, name: str) -> Image.Image:
    with about(name):
        return decode_image(place.read(root), name)


def _check_root(root: Path) -> None:
    """A source that was taken away is not a matter of its rows.

    Raises:
        Stop: it is not there, or empty, as the place is where a disk was.
    """
    try:
        there = any(root.iterdir())
    except OSError:
        there = False
    if not there:
        raise Stop(
            f"The source {str(root)!r} is not there any more; put it back, then run the same "
            "command again."
        )
