"""Files with code in them, archives that are none, and programs of the pickle machine."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from random import Random

import torch

from tests.fuzz.watch import sing

Raw = Mapping[str, bytes]
OPCODES = (
    b"(.0123FINSTRUVWX\\]abcdefghijlopqrstu}\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95"
)
WORDS = (
    *(b"cos\nsystem\n", b"cbuiltins\nexec\n", b"ctests.fuzz.watch\nsing\n", b"ctorch\nload\n"),
    *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"(lp0\n"),
    *(b"ctorch.storage\n_load_from_bytes\n", b"ctorch.jit\nload\n", b"cnumpy\nload\n"),
    *(
        b"cilvr_latent.adm.cache\nstore\n",
        b"cbuiltins\ngetattr\n",
        b"X\x04\x00\x00\x00echo",
        b"I5\n",
    ),
    *(b"q\x00", b"h\x00", b"h\xff", b"\x8c\x04echo\x94", b"R", b"b", b".", b"t", b"}", b"u"),
)


class Call:
    """Something that is called when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._called = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._called


# What these call runs a program, or says so itself.
RUNNING: tuple[Callable[[], Call], ...] = (
    lambda: Call(sing, 1),
    lambda: Call(os.system, "true"),
    lambda: Call(subprocess.Popen, ["true"]),
    lambda: Call(eval, "__import__('tests.fuzz.watch').fuzz.watch.sing()"),
    lambda: Call(exec, "import tests.fuzz.watch as w; w.sing()"),
)
CALLS: tuple[Callable[[], Call], ...] = (
    *RUNNING,
    lambda: Call(getattr, sing, "__call__"),
    lambda: Call(torch.load, "whole.pt"),
    lambda: Call(torch.hub.load, "nobody/nothing", "x"),
)


def with_code(_: Raw, random: Random) -> bytes:
    """A call, somewhere in what a checkpoint may hold, in any of the formats."""
    call = random.choice(CALLS)()
    held: object = random.choice(
        (call, {"model": call}, [call], {"state_dict": {"a": call, "b": torch.zeros(2)}}, {call: 1})
    )
    if random.random() < 0.3:
        return pickle.dumps(held, random.randrange(6))
    stream = io.BytesIO()
    torch.save(held, stream, _use_new_zipfile_serialization=random.random() < 0.5)
    return stream.getvalue()


def program(_: Raw, random: Random) -> bytes:
    """Opcodes and words at random, as a file or as the pickle of an archive."""
    parts = [
        random.choice(WORDS) if random.random() < 0.5 else bytes([random.choice(OPCODES)])
        for _ in range(random.randint(1, 60))
    ]
    data = b"\x80" + bytes([random.choice((2, 3, 4, 5))]) + b"".join(parts) + b"."
    return data if random.random() < 0.3 else _archive({"x/data.pkl": data, "x/version": b"3\n"})


def spoilt_archive(raw: Raw, random: Random) -> bytes:
    """One whose records are cut, exchanged, doubled, renamed or left out."""
    with zipfile.ZipFile(io.BytesIO(raw["pt"])) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(random.randint(1, 3)):
        name = random.choice(tuple(records))
        kind = random.randrange(6)
        if kind == 0:
            records[name] = records[name][: random.randrange(len(records[name]) + 1)]
        elif kind == 1:
            records[name], other = records[random.choice(tuple(records))], records[name]
            records[random.choice(tuple(records))] = other
        elif kind == 2:
            records.pop(name)
        elif kind == 3:
            records[random.choice(("../../x", "/etc/x", "x" * 300, "a/../data.pkl"))] = b"5"
        elif kind == 4:
            records[name] = random.randbytes(len(records[name]))
        else:
            records[f"{name.split('/')[0]}/.data/serialization_id"] = b"\xff" * 40
        if not records:
            return b"PK\x05\x06" + bytes(18)
    return _archive(records, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def bomb(raw: Raw, random: Random) -> bytes:
    """An archive of few bytes, a record of which is large when it is unpacked."""
    with zipfile.ZipFile(io.BytesIO(raw["pt"])) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice([name for name in records if "/data" in name])
    records[name] = bytes(100_000_000)
    return _archive(records, zipfile.ZIP_DEFLATED)


def script(_: Raw, random: Random) -> bytes:
    """TorchScript, which is an archive with code."""
    if random.random() < 0.5:
        return _archive({"m/code/__torch__.py": b"import os", "m/constants.pkl": b"\x80\x02)."})
    return _archive({"m/data.pkl": b"\x80\x02c__torch__\nM\n)\x81.", "m/version": b"3\n"})


def nothing(_: Raw, random: Random) -> bytes:
    """No checkpoint at all."""
    head = (
        b"PK\x03\x04",
        b"\x80\x02",
        b"\x80\x05",
        b"GGUF",
        b"\x89HDF",
        b"{}",
        b"<html>",
        b"",
        b"\0",
    )
    return random.choice(head) + random.randbytes(random.choice((0, 1, 9, 300)))


# What happens more often stands more often; a bomb takes its time to make.
PICKLES = (*[with_code, program, spoilt_archive] * 6, *[script, nothing] * 2, bomb)


def _archive(records: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method, compresslevel=1) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    return stream.getvalue()
