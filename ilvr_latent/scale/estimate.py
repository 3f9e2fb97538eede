"""What a run will take, from a few rows that are translated and thrown away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from ..errors import InputError
from .job import Job
from .ledger import RowState
from .machine import Workers, settle_down
from .reading import request_of
from .row import Row
from .source import Source
from .store import png
from .translator import Made, Refused, Request, Stop, Translator

FEWEST_ROWS, BATCHES = 4, 2


@dataclass(frozen=True)
class Sample:
    """What a few rows took.

    Attributes:
        rows: there were.
        errors: of them that could not be translated.
        pictures: that were made.
        calls: of the network, for one picture.
        start: seconds until the model was loaded.
        seconds: for one picture, of one worker.
        bytes: of one picture.
    """

    rows: int
    errors: int
    pictures: int
    calls: float
    start: float
    seconds: float
    bytes: float


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        rows: that are left.
        pictures: that they make.
        calls: of the network, counted by pictures.
        seconds: on this number of workers, if they all work as fast as the one that was measured.
        bytes: of the pictures.
        workers: there will be.
    """

    rows: int
    pictures: int
    calls: int
    seconds: float
    bytes: int
    workers: int

    @classmethod
    def of(cls, rows: int, sample: Sample, workers: int) -> Estimate:
        """From the number of rows that are left."""
        pictures = rows * sample.pictures / sample.rows
        return cls(
            rows,
            round(pictures),
            round(pictures * sample.calls),
            sample.start + pictures * sample.seconds / workers,
            round(pictures * sample.bytes),
            workers,
        )


def count_and_draw(source: Source, rows: int, seed: int = 0) -> tuple[int, list[Row]]:
    """How many rows a source has, and a few of them, each as likely as the others.

    Raises:
        InputError: it has none.
    """
    draw, drawn, count = random.Random(seed), list[Row](), 0
    for count, row in enumerate(source.rows(), start=1):
        if len(drawn) < rows:
            drawn.append(row)
        elif (place := draw.randrange(count)) < rows:
            drawn[place] = row
    if not drawn:
        raise InputError("The source has no rows; give one that has some.")
    return count, drawn


def rows_to_measure(batch_size: int) -> int:
    """Enough for full batches."""
    return max(FEWEST_ROWS, BATCHES * batch_size)


def rows_done(job: Job) -> int:
    """By what earlier runs wrote down."""
    if job.ledger.is_empty:
        return 0
    return sum(
        job.ledger.shard(shard).get(place, RowState()).done
        for shard in range(job.index.shards)
        for place in job.index.places(shard)
    )


def measure(ray: Any, job: Job, workers: Workers, rows: list[Row]) -> Sample:
    """Translate rows on one worker, as a run would.

    Raises:
        InputError: none of them can be translated.
    """
    task = ray.remote(**workers.resources)(measured)
    sample: Sample | str = ray.get(task.remote(job, rows))
    if isinstance(sample, str):
        raise InputError(sample)
    return sample


def measured(job: Job, rows: list[Row]) -> Sample | str:
    """In the worker: the sample, or why there is none."""
    settle_down(job.options.device, job.folder)
    started, refused = time.perf_counter(), list[str]()
    try:
        translator = Translator(job.options, job.batch_size)
        start = time.perf_counter() - started
        with counted_calls() as calls:
            results = list(translator.translate(_readable(job, rows, refused)))
    except InputError as error:
        return str(error)
    made = [result for result in results if isinstance(result, Made)]
    refused += [result.why for result in results if isinstance(result, Refused)]
    if not made:
        return f"None of {len(rows)} rows can be translated; one of them: {refused[0]}"
    number = len(made)
    return Sample(
        len(rows),
        len(refused),
        number,
        calls() / number,
        start,
        sum(one.seconds for one in made) / number,
        sum(len(png(one.picture, one.written)) for one in made) / number,
    )


def _readable(job: Job, rows: list[Row], refused: list[str]) -> Iterator[Request[None]]:
    for row in rows:
        try:
            yield request_of(row, job.root, None)
        except Stop:
            raise
        except InputError as error:
            refused.append(str(error))


@contextmanager
def counted_calls() -> Iterator[Callable[[], int]]:
    """Counts calls of the network, whatever model it is in: that which computes most.

    A call with a batch counts as so many calls.
    """
    calls: dict[int, list[int]] = {}

    def count(module: nn.Module, inputs: object, output: Any) -> None:
        if id(module) not in calls:
            calls[id(module)] = [0, sum(p.numel() for p in module.parameters())]
        first = output if isinstance(output, Tensor) else next(iter(output), None)
        if isinstance(output, dict):
            first = next(iter(output.values()))
        calls[id(module)][0] += len(first) if isinstance(first, Tensor) and first.ndim else 1

    hook = register_module_forward_hook(count)
    try:
        yield lambda: max(calls.values(), key=lambda one: one[0] * one[1], default=[0, 0])[0]
    finally:
        hook.remove()
