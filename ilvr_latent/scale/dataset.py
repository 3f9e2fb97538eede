"""``translate``: batch translation as a step of anybody's Ray Data pipeline."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import InputError, about
from ..pictures.images import as_rgb, decode_image, read_image
from .choices import check_options, options_of, settle_device
from .machine import choose_workers, require_ray, settle_down
from .row import IMAGE, KEY, MASK, is_missing, read_settings
from .store import digest, png
from .translator import Made, Refused, Request, Translator

if TYPE_CHECKING:
    from ray.data import Dataset

COLUMNS = ("key", "picture", "factor", "seed", "sha256", "seconds", "error")
ROWS_AT_A_TIME = 8


def translate(
    dataset: Dataset,
    *,
    factor: float | list[float] | None = None,
    recipe: str | None = None,
    samples: int = 1,
    seed: int = 0,
    seeds: str = "row",
    batch_size: int = 1,
    workers: int | None = None,
    gpus_per_worker: float = 1.0,
    **settings: Any,
) -> Dataset:
    """Translate the pictures of a data set (arXiv 2108.02938, Algorithm 1), lazily.

    Each row has ``image``: the bytes of a file, the path of one, or an array (H, W, 3) of bytes, as
    :func:`ray.data.read_images` gives it; ``key``, which tells rows apart (by default the path);
    and perhaps ``mask``, ``prompt``, ``factor`` ... of its own.

    Args:
        dataset: the rows.
        factor: N, one or several; see ``ilvr translate --factor``.
        recipe: a name of :data:`ilvr_latent.recipes.RECIPES`, in place of ``factor``.
        samples: pictures for each row and N.
        seed: of the whole.
        seeds: ``row``: each row has its own seed, by ``seed`` and its key; ``same``: all have this.
        batch_size: pictures that the network is given at a time; the last bits of a picture depend
            on it.
        workers: by default as many as the cluster has room for.
        gpus_per_worker: a part of one, such as 0.5, makes several workers share it.
        settings: other options of the command by their names, such as ``steps="20"``, ``model=``,
            ``end=0.8``.

    Returns:
        A row for each picture: ``key``, ``picture`` (the bytes of a PNG with its settings in it),
        ``factor``, ``seed``, ``sha256``, ``seconds``, and ``error``: empty, or why there is none.

    Raises:
        InputError: a setting cannot be used, or ray is not installed.
    """
    ray = require_ray()
    options = options_of(settings)
    several = list(factor) if isinstance(factor, (list, tuple)) else [factor]
    options.factor = None if factor is None else [float(n) for n in several if n is not None]
    options.recipe, options.samples = recipe, samples
    options.seed, options.seeds = seed, seeds
    check_options(options)
    if not ray.is_initialized():
        ray.init()
    chosen = choose_workers(ray, workers, gpus_per_worker, options.device)
    settle_device(options, chosen.device)
    return dataset.map_batches(
        RowTranslator,
        fn_constructor_args=(options, batch_size, Path.cwd()),
        batch_size=max(batch_size, ROWS_AT_A_TIME),
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=chosen.count),
        **chosen.resources,
    )


class RowTranslator:
    """What Ray keeps alive between batches of rows; arguments as :class:`.translator.Translator`.

    Args:
        options: see there.
        batch_size: see there.
        folder: that relative paths are counted from.
    """

    def __init__(self, options: argparse.Namespace, batch_size: int, folder: Path) -> None:
        settle_down(options.device, folder)
        self._translator = Translator(options, batch_size)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """From a batch of rows to one of pictures."""
        cells = zip(*batch.values(), strict=True)
        rows = [dict(zip(batch, values, strict=True)) for values in cells]
        refused: list[tuple[int, dict[str, Any]]] = []
        results = list(self._translator.translate(_requests(rows, refused)))
        found = refused + [(one.request.token, _result(one)) for one in results]
        found.sort(key=lambda one: one[0])
        return {name: [result[name] for _, result in found] for name in COLUMNS}


def _requests(
    rows: list[dict[str, Any]], refused: list[tuple[int, dict[str, Any]]]
) -> Iterator[Request[int]]:
    for number, row in enumerate(rows):
        image = row.get(IMAGE)
        path = row.get("path", image)
        key = str(row[KEY] if KEY in row else path if isinstance(path, str) else "")
        try:
            if not key:
                raise InputError("The row has no 'key', and no path; give it one of its own.")
            mask = None if is_missing(row.get(MASK)) else _picture(row[MASK], f"the mask of {key}")
            own = read_settings(row)
            if mask is not None:
                own[MASK] = row[MASK] if isinstance(row[MASK], str) else MASK
            picture = _picture(image, key)
            yield Request(number, key, PurePath(key).name, picture, mask, own)
        except InputError as error:
            refused.append((number, _without_picture(key, str(error))))


def _picture(value: Any, name: str) -> Image.Image:
    """A picture in any of the forms that a data set has it in."""
    with about(name):
        if isinstance(value, str):
            return read_image(value)
        if isinstance(value, bytes):
            return decode_image(value, name)
        pixels = np.asarray(value)
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
            raise InputError(
                f"The image of {name!r} is no picture; give the bytes of a file, its path, or an "
                "array (H, W, 3) of bytes."
            )
        return as_rgb(Image.fromarray(pixels))


def _result(one: Made[int] | Refused[int]) -> dict[str, Any]:
    if isinstance(one, Refused):
        return _without_picture(one.request.key, one.why)
    picture = png(one.picture, one.written)
    return {
        "key": one.request.key,
        "picture": picture,
        "factor": float(one.factor),
        "seed": one.seed,
        "sha256": digest(picture),
        "seconds": one.seconds,
        "error": "",
    }


def _without_picture(key: str, why: str) -> dict[str, Any]:
    nothing = {"picture": b"", "factor": math.nan, "seed": -1, "sha256": "", "seconds": 0.0}
    return {"key": key, **nothing, "error": why}
