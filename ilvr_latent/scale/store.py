"""Where pictures go: a folder of PNG files, tar shards as WebDataset reads them, or Parquet files.

A picture is a file as soon as it is made: whole, under its last name or not at all. Shards are
packed from these files when all their rows are settled.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image

from ..pictures.files import PARTIAL
from ..pictures.images import png_info
from .ledger import Record
from .pack import PACKS, Pack

Format = Literal["folder", "tar", "parquet"]
FORMATS: tuple[Format, ...] = ("folder", "tar", "parquet")


@dataclass(frozen=True)
class Store:
    """The pictures of a job.

    Args:
        folder: the destination.
        own: where what is not finished is kept; on the same file system.
        format: of what is finished.
        writer: of this process, which no other has.
    """

    folder: Path
    own: Path
    format: Format
    writer: str
    _count: Iterator[int] = field(default_factory=itertools.count, compare=False)

    def put(self, shard: int, name: str, picture: bytes) -> None:
        """Keep a picture.

        Args:
            shard: of its row.
            name: of the file, from the destination, without ``..``.
            picture: the bytes of a PNG file.

        Raises:
            OSError: there is no place for it.
        """
        partial = self.own / "partial" / f"{self.writer}-{next(self._count)}"
        partial.parent.mkdir(parents=True, exist_ok=True)
        path = self._file(shard, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(picture)
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise

    def intact(self, shard: int, records: Sequence[Record]) -> Iterator[Record]:
        """Those of the pictures that are there as they were made.

        Args:
            shard: which.
            records: of its pictures.
        """
        with self._packed(shard) as packed:
            for record in records:
                picture = self._read(shard, record["image"], packed)
                if picture is not None and digest(picture) == record["sha256"]:
                    yield record

    def pack(self, shard: int, records: Sequence[Record]) -> None:
        """Make the file of a shard from its pictures, unless each is a file of its own.

        Args:
            shard: which.
            records: of its pictures, in the order that they have in it.

        Raises:
            OSError: there is no place for it.
            FileNotFoundError: a picture is gone, perhaps because another worker packed it.
        """
        if self.format == "folder":
            return
        with self._packed(shard) as packed:

            def read(record: Record) -> bytes:
                picture = self._read(shard, record["image"], packed)
                if picture is None:
                    raise FileNotFoundError(record["image"])
                return picture

            self._pack.write(self._pack_path(shard), ((r, read(r)) for r in records))
        shutil.rmtree(self.own / "staged" / f"{shard:08d}", ignore_errors=True)

    def is_packed(self, shard: int) -> bool:
        """Whether the shard has its file, if it is to have one."""
        return self.format == "folder" or self._pack_path(shard).exists()

    def sweep(self) -> None:
        """Remove what killed workers left half-written."""
        shutil.rmtree(self.own / "partial", ignore_errors=True)
        for folder in (self.folder, self.own / "index", self.own / "records"):
            for partial in folder.glob(PARTIAL):
                partial.unlink(missing_ok=True)

    @property
    def _pack(self) -> Pack:
        return PACKS[self.format]

    def _pack_path(self, shard: int) -> Path:
        return self.folder / f"{shard:08d}{self._pack.suffix}"

    def _file(self, shard: int, name: str) -> Path:
        if self.format == "folder":
            return self.folder / name
        return self.own / "staged" / f"{shard:08d}" / name

    def _read(
        self, shard: int, name: str, packed: Callable[[str], bytes | None] | None
    ) -> bytes | None:
        with contextlib.suppress(OSError):
            return self._file(shard, name).read_bytes()
        return None if packed is None else packed(name)

    @contextlib.contextmanager
    def _packed(self, shard: int) -> Iterator[Callable[[str], bytes | None] | None]:
        """Reads pictures of the shard's file, if there is one."""
        if self.format == "folder" or not self.is_packed(shard):
            yield None
            return
        with self._pack.opened(self._pack_path(shard)) as read:
            yield read


def png(picture: Image.Image, settings: dict[str, object]) -> bytes:
    """The file that ``ilvr sample`` writes of a picture."""
    file = io.BytesIO()
    picture.save(file, format="PNG", pnginfo=png_info(settings))
    return file.getvalue()


def digest(picture: bytes) -> str:
    """Of a picture's file."""
    return hashlib.sha256(picture).hexdigest()
