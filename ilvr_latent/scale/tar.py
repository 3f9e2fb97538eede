"""Rows of tar shards as WebDataset writes them: files of one sample have one name up to a dot."""

from __future__ import annotations

import itertools
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..errors import InputError
from ..pictures.images import SUFFIXES
from .place import Place
from .row import MASK, Row, read_settings

# Settings of a sample are a few hundred letters.
MOST_BYTES_OF_SETTINGS = 1_000_000


def tar_rows(path: Path, name: str) -> Iterator[Row]:
    """Of a shard: a picture, and perhaps ``mask.png`` and ``json`` with settings, a sample.

    Args:
        path: the file, not compressed.
        name: its path from the root of the source.

    Raises:
        InputError: it is no such file.
    """
    shard = str(PurePosixPath(name).with_suffix(""))
    try:
        file = tarfile.open(path, "r:")  # noqa: SIM115
    except tarfile.TarError as error:
        raise InputError(
            f"{str(path)!r} cannot be read as a tar file ({error}); give shards that are whole and "
            "not compressed."
        ) from None
    broken = list[str]()
    # A header that is cut off is taken for the end.
    if path.stat().st_size % tarfile.BLOCKSIZE:
        broken.append("its last block is not whole")
    with file:
        for sample, members in itertools.groupby(_members(file, broken), key=_sample):
            row = _row_of(file, shard, sample, list(members), name)
            if row is not None:
                yield row
    if broken:
        yield Row(f"{name}#end", error=f"{name!r} ends too early ({broken[0]}); mend it.")


def _members(file: tarfile.TarFile, broken: list[str]) -> Iterator[tarfile.TarInfo]:
    """The files in it, as far as it can be read."""
    try:
        yield from (member for member in file if member.isreg())
    except tarfile.TarError as error:
        broken.append(str(error))


def _sample(member: tarfile.TarInfo) -> str:
    return member.name[: len(member.name) - len(_ending(member))]


def _ending(member: tarfile.TarInfo) -> str:
    name = PurePosixPath(member.name).name
    return name[name.index(".") :].lower() if "." in name.lstrip(".") else ""


def _row_of(
    file: tarfile.TarFile, shard: str, sample: str, members: list[tarfile.TarInfo], name: str
) -> Row | None:
    """A sample that has a picture or settings; another is none of ours."""
    key, image, mask = f"{shard}/{sample}", None, None
    settings: dict[str, object] = {}
    try:
        for member in members:
            ending = _ending(member)
            place = Place(name, part=(member.offset_data, member.size))
            if ending in SUFFIXES and image is None:
                key, image = f"{shard}/{member.name}", place
            elif ending.startswith(f".{MASK}.") and ending.removeprefix(f".{MASK}") in SUFFIXES:
                mask, settings[MASK] = place, PurePosixPath(member.name).name
            elif ending == ".json":
                settings |= _settings(file, member)
    except InputError as error:
        return Row(key, error=f"{key!r}: {error}")
    if image is None and not settings:
        return None
    if image is None:
        return Row(key, error=f"{key!r} has no picture; put one beside its settings.")
    return Row(key, image, mask, settings)


def _settings(file: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, object]:
    opened = file.extractfile(member)
    assert opened is not None
    try:
        values = json.loads(opened.read(MOST_BYTES_OF_SETTINGS))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise InputError("its settings are no JSON object; mend them.")
    return read_settings(values)
