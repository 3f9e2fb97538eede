"""Files that hold the pictures of a whole shard: tar as WebDataset reads it, and Parquet.

Their bytes depend on the pictures alone: no times, no names of machines.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from ..pictures.files import written_whole
from .ledger import Record

Pictures = Iterable[tuple[Record, bytes]]
Reader = Callable[[str], bytes | None]
# Of a record, what is the same from run to run.
LASTING = ("source", "image", "settings", "sha256")


class Pack(Protocol):
    """A kind of file."""

    suffix: str

    def write(self, path: Path, pictures: Pictures) -> None:
        """Make the file, whole or not at all."""
        ...

    def opened(self, path: Path) -> contextlib.AbstractContextManager[Reader]:
        """Read pictures by their names; ``None`` for one that is not there."""
        ...


class TarPack:
    """A sample for each picture: ``NAME.png`` and ``NAME.json``, what it was made with."""

    suffix = ".tar"

    def write(self, path: Path, pictures: Pictures) -> None:
        """See :class:`Pack`."""
        with written_whole(path) as partial, tarfile.open(partial, "w") as file:
            for record, picture in pictures:
                said = json.dumps(_lasting(record)).encode()
                name = record["image"]
                for member, data in (
                    (name, picture),
                    (str(PurePosixPath(name).with_suffix(".json")), said),
                ):
                    entry = tarfile.TarInfo(member)
                    entry.size = len(data)
                    file.addfile(entry, io.BytesIO(data))

    @contextlib.contextmanager
    def opened(self, path: Path) -> Iterator[Reader]:
        """See :class:`Pack`."""
        with contextlib.ExitStack() as stack:
            members: dict[str, tarfile.TarInfo] = {}
            # A damaged file has what can be read of it.
            with contextlib.suppress(tarfile.TarError):
                file = stack.enter_context(tarfile.open(path, "r:"))
                for member in file:
                    members[member.name] = member

            def read(name: str) -> bytes | None:
                opened = file.extractfile(members[name]) if name in members else None
                return None if opened is None else opened.read()

            yield read


class ParquetPack:
    """A row for each picture, with its bytes as ``image``."""

    suffix = ".parquet"

    def write(self, path: Path, pictures: Pictures) -> None:
        """See :class:`Pack`."""
        import pyarrow
        from pyarrow import parquet

        schema = pyarrow.schema(
            [
                *((name, pyarrow.string()) for name in ("key", "source", "settings", "sha256")),
                ("image", pyarrow.binary()),
            ]
        )
        with written_whole(path) as partial, parquet.ParquetWriter(partial, schema) as file:
            for record, picture in pictures:
                file.write_table(pyarrow.Table.from_pylist([_cells(record, picture)], schema))

    @contextlib.contextmanager
    def opened(self, path: Path) -> Iterator[Reader]:
        """See :class:`Pack`."""
        import pyarrow
        from pyarrow import parquet

        with contextlib.ExitStack() as stack:
            groups: dict[str, int] = {}
            with contextlib.suppress(pyarrow.ArrowException):
                file = stack.enter_context(parquet.ParquetFile(path))
                names = file.read(columns=["key"]).column("key").to_pylist()
                groups = {name: group for group, name in enumerate(names)}

            def read(name: str) -> bytes | None:
                if name not in groups:
                    return None
                with contextlib.suppress(pyarrow.ArrowException, OSError):
                    found: bytes = file.read_row_group(groups[name]).column("image")[0].as_py()
                    return found
                return None

            yield read


PACKS: dict[str, Pack] = {"tar": TarPack(), "parquet": ParquetPack()}


def _lasting(record: Record) -> dict[str, Any]:
    return {name: record[name] for name in LASTING if name in record}


def _cells(record: Record, picture: bytes) -> dict[str, Any]:
    known = _lasting(record)
    known["key"], known["image"] = known["image"], picture
    return known | {"settings": json.dumps(known["settings"])}
