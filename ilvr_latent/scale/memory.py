"""How many pictures the network is given at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image

from ..errors import InputError
from .job import Job
from .machine import Workers, settle_down
from .translator import Made, Request, Translator

# Of a GPU's memory: the rest is for what is not the network's.
FILLED, MOST = 0.8, 64


def batch_that_fits(peak: Callable[[int], int], room: int) -> int:
    """The largest power of two, at most 64, whose pictures have room.

    Args:
        peak: bytes that so many pictures take; asked for one and for two.
        room: bytes there are.
    """
    one, two = peak(1), peak(2)
    more = max(1, two - one)
    size = 1
    while size < MOST and one + (2 * size - 1) * more <= FILLED * room:
        size *= 2
    return size


def choose_batch_size(ray: Any, job: Job, workers: Workers) -> int:
    """By the memory of a GPU; on the CPU one, where more are no faster.

    Raises:
        InputError: the model cannot be loaded, or not a single picture has room.
    """
    if not workers.gpus:
        return 1
    found: int | str = ray.get(ray.remote(**workers.resources)(_tried).remote(job, workers.gpus))
    if isinstance(found, str):
        raise InputError(found)
    return found


def _tried(job: Job, share: float) -> int | str:
    settle_down(job.options.device, job.folder)
    _, total = torch.cuda.mem_get_info()

    def peak(pictures: int) -> int:
        torch.cuda.reset_peak_memory_stats()
        translator = Translator(job.options, pictures)
        grey = Image.new("RGB", translator.maker.size, "grey")
        results = list(translator.translate([Request(None, "", "", grey)]))
        refusals = [one.why for one in results if not isinstance(one, Made)]
        if refusals:
            raise InputError(refusals[0])
        return torch.cuda.max_memory_allocated()

    try:
        return batch_that_fits(peak, int(total * share))
    except InputError as error:
        return str(error)
