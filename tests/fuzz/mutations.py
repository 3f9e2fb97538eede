"""Bytes, texts and numbers as nobody means them."""

from __future__ import annotations

import math
import struct
from random import Random

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
NUMBERS: tuple[float, ...] = (
    *(0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.0, -0.5, 1e-300, 1e300),
    *(math.nan, math.inf, -math.inf),
)
TEXTS = (
    *("", " ", "\n", "\0", "\x1b[31mred\x1b[0m", "\r\n\t", "\ud800", "\udcff", "‮gnp", "é" * 78),
    *(
        "%s%n",
        "{0.__class__}",
        "$(touch x)",
        "`id`",
        "; rm x",
        "<script>alert(1)</script>",
        "~",
        "/",
    ),
    *("../../etc/passwd", "~nobody-of-this-name/x", "-1", "1e999", "nan", "0x10", "1_000", "NaN"),
    *("--help", "-", "*", "[", "**/*", "con", "None", "null", "{}", "[]", "a" * 300, "x" * 100_000),
)


def mutated(raw: bytes, random: Random, most: int = 8) -> bytes:
    """Bytes changed, overwritten with numbers at the edge of their range, cut out or repeated."""
    data = bytearray(raw)
    for _ in range(random.randint(1, most)):
        at = random.randrange(len(data))
        kind = random.randrange(6)
        if kind == 0:
            data[at] = random.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << random.randrange(8)
        elif kind == 2:
            del data[at : at + random.randint(1, 64)]
        elif kind == 3:
            data[at:at] = data[at : at + random.randint(1, 64)]
        elif kind == 4:
            number = struct.pack("<Q", random.choice(INTERESTING))[: random.choice((1, 2, 4, 8))]
            data[at : at + len(number)] = number if random.random() < 0.5 else number[::-1]
        elif random.random() < 0.3:
            del data[at:]
        if not data:
            data += b"x"
    return bytes(data)


def text(random: Random) -> str:
    """One that is hardly a name, a number or a prompt."""
    if random.random() < 0.8:
        return random.choice(TEXTS)
    return "".join(chr(random.choice((random.randrange(32, 127), random.randrange(0xD7FF))))
                   for _ in range(random.randint(1, 30)))  # fmt: skip


def value(random: Random, depth: int = 2) -> object:
    """Anything that JSON can hold, and what Python reads beyond it."""
    kind = random.randrange(8 if depth else 5)
    if kind == 0:
        return random.choice((None, True, False))
    if kind in (1, 2):
        return random.choice(NUMBERS)
    if kind in (3, 4):
        return text(random)
    if kind == 5:
        return {text(random): value(random, depth - 1) for _ in range(random.randrange(3))}
    return [value(random, depth - 1) for _ in range(random.randrange(4))]
