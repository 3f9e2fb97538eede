"""Pictures that mean harm, or are broken: read as the command line and the library read them."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

from PIL import Image, ImageFile

from ilvr_latent import InputError
from ilvr_latent.pictures.images import find_images, fit_to, read_image, to_images, to_tensor
from tests.fuzz.mutations import INTERESTING, mutated
from tests.fuzz.watch import Case
from tests.fuzz.whole_pictures import large_pictures, whole_pictures

REFUSALS = (InputError,)
FOREIGN = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n",
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/Launch/F(true)>>>>endobj",
    b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    b"P6 4 4 255\n" + bytes(48),
    b"\xd7\xcd\xc6\x9a" + bytes(40),
    b"8BPS\0\1" + bytes(40),
    b"\0\0\1\0\1\0" + bytes(40),
    b"SIMPLE  =                    T" + b" " * 2850,
    b"\0\0\0\x1cftypavif" + bytes(60),
    b"push graphic-context\nfill 'url(https://x/|true)'\npop graphic-context",
    *(b"", b"\0", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF\xff\xff\xff\xffWEBP", b"BM"),
)
FITS = ("crop", "pad", "stretch", "none")


class Pictures:
    """Cases of a seed.

    Args:
        folder: for files.
        seed: the same cases for the same seed.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._whole = whole_pictures()
        often: tuple[Callable[[Random], tuple[bytes, str]], ...] = (
            *(self._changed_bytes, self._changed_bytes, self._changed_chunks, self._changed_tags),
            *(self._claimed_size, self._odd_exif),
        )
        self._makers = (*often * 6, self._foreign, self._foreign, self._large)

    def __call__(self, number: int) -> Case:
        """A case, by its number."""
        random = Random(f"picture {self._seed} {number}")
        make = random.choice(self._makers)
        content, suffix = make(random)
        name = f"hostile-{number % 8}.{suffix}"
        path = self._folder / name
        path.write_bytes(content)
        door = random.randrange(3)
        actions: tuple[Callable[[], object], ...] = (
            functools.partial(read_image, path),
            functools.partial(self._fitted, path, random.choice(FITS)),
            functools.partial(self._found, path),
        )
        return Case(f"{number} {make.__name__} {suffix} door {door}", actions[door], [name, "fit"])

    def _fitted(self, path: Path, fit: str) -> object:
        return to_images(to_tensor(fit_to(read_image(path), (48, 64), fit)))  # type: ignore[arg-type]

    def _found(self, path: Path) -> object:
        return [read_image(one) for one in find_images([str(path), f"{path.parent}/{path.name}"])]

    # ---- how a file is spoilt ----

    def _changed_bytes(self, random: Random) -> tuple[bytes, str]:
        raw, suffix = random.choice(self._whole)
        if random.random() < 0.5:
            # Where the formats say what they are.
            return mutated(raw[:200], random) + raw[200:], suffix
        return mutated(raw, random), suffix

    def _of(self, random: Random, *suffixes: str) -> bytes:
        return random.choice([raw for raw, suffix in self._whole if suffix in suffixes])

    def _changed_chunks(self, random: Random) -> tuple[bytes, str]:
        """A PNG whose checksums are right."""
        chunks = list(_chunks(self._of(random, "png")))
        for _ in range(random.randint(1, 3)):
            at = random.randrange(len(chunks))
            kind, data = chunks[at]
            choice = random.randrange(5)
            if choice == 0 and data:
                chunks[at] = kind, mutated(data, random)
            elif choice == 1:
                chunks.insert(at, random.choice(chunks))
            elif choice == 2 and len(chunks) > 1:
                chunks.pop(at)
            elif choice == 3:
                bomb = zlib.compress(bytes(random.choice((10, 60_000_000))), 1)
                named = random.choice(
                    (b"zTXt", b"iCCP", b"iTXt", b"IDAT", b"eXIf", b"acTL", b"fcTL")
                )
                chunks.insert(at, (named, b"x\0\0" + bomb))
            else:
                kinds = (b"PLTE", b"tRNS", b"IHDR", b"IEND", b"gAMA", b"\xff\0\0\0", kind)
                chunks[at] = random.choice(kinds), data
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks), "png"

    def _changed_tags(self, random: Random) -> tuple[bytes, str]:
        """A TIFF with an entry of its directory exchanged."""
        raw = bytearray(self._of(random, "tiff"))
        order = "<" if raw[:2] == b"II" else ">"
        start = struct.unpack(f"{order}I", raw[4:8])[0]
        count = struct.unpack(f"{order}H", raw[start : start + 2])[0]
        for _ in range(random.randint(1, 3)):
            at = start + 2 + 12 * random.randrange(count)
            tag, kind, number, held = struct.unpack(f"{order}HHII", raw[at : at + 12])
            wrong = random.choice(INTERESTING) & 0xFFFFFFFF
            changed = random.choice(
                (
                    *((tag, random.randrange(20), number, held), (tag, kind, wrong, held)),
                    *((tag, kind, number, wrong), (random.randrange(0x10000), kind, number, held)),
                    (tag, kind, number, random.choice((1, 2, 3, 5, 8, 32773, 34712, 50002))),
                )
            )
            raw[at : at + 12] = struct.pack(f"{order}HHII", *changed)
        return bytes(raw), "tiff"

    def _claimed_size(self, random: Random) -> tuple[bytes, str]:
        """Other sides than there are pixels for."""
        wide, high = (random.choice((0, 1, 300, 8000, 32_768, 65_535, 2**31 - 1)) for _ in "wh")
        kind = random.randrange(4)
        if kind == 0:
            chunks = list(_chunks(self._of(random, "png")))
            chunks[0] = b"IHDR", struct.pack(">II", wide, high) + chunks[0][1][8:]
            return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks), "png"
        sides = struct.pack("<HH", wide & 0xFFFF, high & 0xFFFF)
        if kind == 1:
            raw = self._of(random, "gif")
            return raw[:6] + sides + raw[10:], "gif"
        if kind == 2:
            raw = self._of(random, "bmp")
            return raw[:18] + struct.pack("<iI", wide, high) + raw[26:], "bmp"
        raw = self._of(random, "jpg")
        at = max(raw.find(b"\xff\xc0"), raw.find(b"\xff\xc2"))
        return raw[: at + 5] + struct.pack(">HH", high & 0xFFFF, wide & 0xFFFF) + raw[
            at + 9 :
        ], "jpg"

    def _odd_exif(self, random: Random) -> tuple[bytes, str]:
        entries = b"".join(
            struct.pack(
                "<HHII",
                random.choice((0x0112, 0x011A, 0x8769, 0x8825, 0x927C, 0xA005, 0x0201, 0xFFFF)),
                random.randrange(16),
                random.choice((0, 1, 2, 1000, 2**31)),
                random.choice((0, 1, 6, 8, 9, 200, 2**31, 2**32 - 1)),
            )
            for _ in range(random.randint(1, 6))
        )
        number = random.choice((0, len(entries) // 12, 0xFFFF))
        exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", number) + entries + bytes(4)
        suffix = random.choice(("jpg", "png", "webp"))
        stream = io.BytesIO()
        picture = Image.new("RGB", (24, 16), "red")
        picture.save(stream, {"jpg": "JPEG"}.get(suffix, suffix.upper()), exif=exif)
        return stream.getvalue(), suffix

    def _foreign(self, random: Random) -> tuple[bytes, str]:
        content = random.choice(FOREIGN)
        if content and random.random() < 0.3:
            content = mutated(content, random)
        return content, random.choice(("png", "jpg", "gif", "tif", "webp", "bmp", "jpeg"))

    def _large(self, random: Random) -> tuple[bytes, str]:
        """Few bytes and many pixels, from just what is read to far more."""
        return random.choice(large_pictures())


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at + 8 <= len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


assert not ImageFile.LOAD_TRUNCATED_IMAGES
