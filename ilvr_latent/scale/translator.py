"""From rows to pictures, in this process: the model is loaded once, the network sees batches.

A picture depends on its row, the settings, its seed and the size of the batches alone. The last
bits of a network's output depend on how many pictures it is given at a time, and on the CPU also on
the number of threads: so each batch has the same number of pictures, the last one repeated where
there are too few, and on the CPU there is one thread.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from PIL import Image
from torch import Tensor

from ..cli.maker import fitted_mask, load_maker
from ..cli.making import PictureMaker
from ..cli.settings import Settings
from ..cli.translation import chosen_factors, read_recipe, written_of_one
from ..errors import InputError
from ..pictures.images import fit_to, to_tensor
from .ledger import Sample

T = TypeVar("T")
SEEDS = 2**32
# Errors that nobody foresaw, one after the other, are no matter of the rows.
MOST_SURPRISES = 10


class Stop(InputError):
    """What is wrong is wrong for every row: one sentence."""


@dataclass(frozen=True)
class Request(Generic[T]):
    """A row that is to be translated, with its pictures read.

    Attributes:
        token: whatever tells the caller which row it is.
        key: of the row.
        reference: the name of the picture's file.
        image: the picture, RGB.
        mask: the row's own mask.
        settings: the row's own options.
        done: its pictures that are there already.
    """

    token: T
    key: str
    reference: str
    image: Image.Image
    mask: Image.Image | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    done: Collection[Sample] = ()


@dataclass(frozen=True)
class Made(Generic[T]):
    """A picture.

    Attributes:
        request: what it is of.
        picture: RGB.
        method: that it was made by.
        factor: N.
        seed: of its noise.
        of: how many pictures the row has.
        written: all settings that it was made with.
        seconds: that its share of a batch took.
    """

    request: Request[T]
    picture: Image.Image
    method: str
    factor: float
    seed: int
    of: int
    written: dict[str, object]
    seconds: float


@dataclass(frozen=True)
class Refused(Generic[T]):
    """A row, or one picture of it, that cannot be made, and why."""

    request: Request[T]
    why: str


@dataclass(frozen=True)
class _Shot(Generic[T]):
    """One picture to make."""

    request: Request[T]
    options: argparse.Namespace
    settings: Settings
    reference: Tensor
    mask: Tensor | None
    seed: int
    of: int


class Translator:
    """A loaded model that translates rows.

    Args:
        options: of ``ilvr translate``, with device and dtype as they are to be.
        batch_size: pictures that the network is given at a time.

    Raises:
        InputError: the model cannot be loaded.
    """

    def __init__(self, options: argparse.Namespace, batch_size: int) -> None:
        self._options, self._batch_size = options, batch_size
        self.maker: PictureMaker = load_maker(Settings.of(options, 1.0))
        self._mask = self.maker.mask
        self._surprises = 0

    def translate(
        self, requests: Iterable[Request[T]], begin: Callable[[Request[T]], None] = lambda _: None
    ) -> Iterator[Made[T] | Refused[T]]:
        """The pictures of rows, in any order.

        Args:
            requests: the rows.
            begin: called with a row before its first picture is made.

        Raises:
            Stop: no row can be translated.
        """
        waiting: dict[tuple[Settings, str], list[_Shot[T]]] = {}
        for request in requests:
            try:
                shots = self._shots(request)
            except Stop:
                raise
            except InputError as error:
                yield Refused(request, str(error))
                continue
            if shots:
                begin(request)
            for shot in shots:
                group = (shot.settings, _digest(shot.mask))
                batch = waiting.setdefault(group, [])
                batch.append(shot)
                if len(batch) == self._batch_size:
                    yield from self._made(waiting.pop(group))
        for batch in waiting.values():
            yield from self._made(batch)

    def _shots(self, request: Request[T]) -> list[_Shot[T]]:
        """The pictures of a row that are not there yet."""
        own = dict(request.settings)
        options = argparse.Namespace(**vars(self._options) | _options_of(own))
        try:
            read_recipe(options)
            chosen = {n: Settings.of(options, n) for n in chosen_factors(options, self.maker)}
        except InputError as error:
            raise error if own else Stop(str(error)) from None
        size, fit = self.maker.size, options.fit
        reference = to_tensor(fit_to(request.image, size, fit))
        mask = self._mask if request.mask is None else fitted_mask(request.mask, size, fit)
        first = own.get("seed", row_seed(options, request.key))
        seeds = range(first, first + options.samples)
        return [
            _Shot(request, options, settings, reference, mask, seed, len(chosen) * len(seeds))
            for n, settings in chosen.items()
            for seed in seeds
            if (n, seed) not in request.done
        ]

    def _made(self, batch: list[_Shot[T]]) -> Iterator[Made[T] | Refused[T]]:
        """The pictures of shots that have their settings and mask in common."""
        try:
            yield from self._sampled(batch)
            self._surprises = 0
        except Stop:
            raise
        except Exception as error:
            # One of them may be to blame, and the others not.
            if len(batch) > 1:
                for shot in batch:
                    yield from self._made([shot])
            else:
                yield Refused(batch[0].request, self._reason(error))

    def _reason(self, error: Exception) -> str:
        """What is said of a picture that cannot be made.

        Raises:
            Stop: many were not, one after the other, and nobody foresaw why.
        """
        if isinstance(error, InputError):
            return str(error)
        self._surprises += 1
        why = f"{type(error).__name__}: {error}"
        if self._surprises < MOST_SURPRISES:
            return f"The model failed with {why}"
        raise Stop(
            f"{self._surprises} pictures failed, one after the other; try one of them with 'ilvr "
            f"sample --debug'. The last one: {why}"
        )

    def _sampled(self, batch: list[_Shot[T]]) -> list[Made[T]]:
        settings, started = batch[0].settings, time.perf_counter()
        padded = batch + batch[-1:] * (self._batch_size - len(batch))
        references = torch.cat([shot.reference for shot in padded])
        self.maker.mask = batch[0].mask
        try:
            self.maker.check(references, settings)
        except InputError as error:
            # What is wrong with the command's options is wrong for every row.
            raise error if batch[0].request.settings else Stop(str(error)) from None
        seeds = [shot.seed for shot in padded]
        try:
            pictures = self.maker.make(references, settings, seeds, lambda steps=1: None)
        except (MemoryError, torch.OutOfMemoryError):
            raise Stop(
                f"Out of memory at batch size {self._batch_size}: lower --batch-size, or use "
                "--dtype bfloat16 or a smaller model."
            ) from None
        seconds = (time.perf_counter() - started) / len(batch)
        return [
            Made(
                shot.request,
                picture,
                shot.options.method,
                settings.factor,
                shot.seed,
                shot.of,
                written_of_one(shot.options, shot.request.reference, settings.factor, shot.seed),
                seconds,
            )
            for shot, picture in zip(batch, pictures, strict=False)
        ]


def row_seed(options: argparse.Namespace, key: str) -> int:
    """The seed of a row's first picture.

    Args:
        options: ``seed``, and in ``seeds`` whether it is every row's, or rows have their own.
        key: of the row.
    """
    seed = int(options.seed)
    if options.seeds == "same":
        return seed
    drawn = hashlib.sha256(f"{seed}:{key}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(drawn[:8]) % SEEDS


def _options_of(own: Mapping[str, Any]) -> dict[str, Any]:
    """A row's options, as the command's; its seed is not one of them."""
    taken = {name: value for name, value in own.items() if name != "seed"}
    return taken | ({"factor": [taken["factor"]]} if "factor" in taken else {})


def _digest(mask: Tensor | None) -> str:
    return "" if mask is None else hashlib.sha256(mask.numpy().tobytes()).hexdigest()
