"""Small data sets, jobs on them, and workers in this process."""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ilvr_latent.cli.main import build_parser
from ilvr_latent.scale.job import Job, Piece
from ilvr_latent.scale.run import MANIFEST
from ilvr_latent.scale.source import find_source
from ilvr_latent.scale.worker import Outcome, Worker

Records = list[dict[str, Any]]
STEPS = 3


def a_picture(seed: int, size: tuple[int, int] = (20, 16)) -> Image.Image:
    """Random pixels."""
    shape = (size[1], size[0], 3)
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(values)


def png_bytes(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as file:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return path


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([columns, *rows])
    return path


def digests(folder: Path) -> dict[str, str]:
    """Of every file of results, by its path."""
    files = (p for p in folder.rglob("*") if p.is_file() and ".ilvr" not in p.parts)
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
        if p.name != MANIFEST
    }


def manifest(folder: Path) -> Records:
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures in two folders, and what is none."""
    source = tmp_path / "source"
    for n, name in enumerate(["a.png", "b.png", "c/d.png", "c/e.png", "c/f.png", "g.png"]):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        a_picture(n).save(path)
    (source / "notes.txt").write_text("no picture")
    (source / "._a.png").write_text("no picture either")
    return source


@pytest.fixture
def arguments(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> Callable[..., list[str]]:
    """The command line of a translation; options that are given again count."""

    def make(source: Path, *options: object, output: str = "out") -> list[str]:
        given = ["translate", source, "--output", tmp_path / output, "--model", tiny_checkpoint()]
        given += ["--factor", 4, "--steps", STEPS, "--device", "cpu", "--shard-size", 4, *options]
        return [str(argument) for argument in given]

    return make


@pytest.fixture
def make_job(arguments: Callable[..., list[str]]) -> Callable[..., Job]:
    """A job whose index is made; ``run`` names the run."""

    def make(source: Path, *options: object, output: str = "out", run: str = "first") -> Job:
        if "parquet" in options:
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        parsed = build_parser("translate").parse_args(arguments(source, *options, output=output))
        plain = {name: value for name, value in vars(parsed).items() if name != "run"}
        found = find_source(str(source))
        job = Job(
            argparse.Namespace(**plain),
            found.root,
            parsed.output,
            parsed.format,
            parsed.batch_size or 1,
            Path.cwd(),
            run,
        )
        job.index.update(found.rows(), parsed.shard_size, dots=parsed.format != "tar")
        return job

    return make


def all_pieces(job: Job) -> list[Piece]:
    index = job.index
    return [Piece(shard, index.places(shard)) for shard in range(index.shards)]


def work(job: Job, pieces: Sequence[Piece] | None = None) -> Outcome:
    """One worker does pieces, all by default; what it says is added up."""
    written = [piece.written() for piece in (all_pieces(job) if pieces is None else pieces)]
    columns = Worker(job)({"piece": written})
    total = Outcome(0)
    for name, values in columns.items():
        for value in values:
            if not isinstance(value, str):
                setattr(total, name, getattr(total, name) + value)
            elif value:
                setattr(total, name, value)
    job.ledger.merge(job.index.shards, job.output / MANIFEST)
    return total


def remove(path: Path) -> None:
    shutil.rmtree(path)
