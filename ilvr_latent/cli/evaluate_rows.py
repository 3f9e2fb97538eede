"""``ilvr evaluate``: the rows of its tables, as settings of whatever model makes the pictures."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from PIL import Image
from torch import Tensor

from ..embedded import LATENT_MODEL, PIXEL_MODEL, REFERENCES
from ..errors import InputError
from ..evaluation.rows import Setting
from ..evaluation.store import Gallery, Maker, RowKind, RowStore
from ..metrics.provenance import sha256
from ..pictures.files import name_for_results
from ..pictures.images import find_images, fit_to, read_image, to_tensor
from .common import choose_device, choose_dtype
from .maker import load_maker
from .settings import Settings

R = TypeVar("R", bound=RowKind, contravariant=True)

# Options of other commands that say what the ranges say here.
WINDOWS = ("start", "end", "timestep_range", "step_range")


class RowMaker:
    """Makes the samples of rows; see :class:`..evaluation.store.Maker`.

    Args:
        options: the command's.

    Raises:
        InputError: the model cannot be loaded, or an option cannot be used.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        for name in WINDOWS:
            if getattr(options, name) is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} says when to match, which is what --ranges vary; "
                    "leave it out."
                )
        self._settings_of_all = Settings.of(options, 1)
        self._maker = load_maker(self._settings_of_all)
        self.size, self.cell = self._maker.size, self._maker.cell
        self.timesteps = self._maker.timesteps

    def _settings(self, setting: Setting) -> Settings:
        chosen = self._settings_of_all
        if setting.factor is None:
            return chosen.without_reference()
        chosen = dataclasses.replace(chosen, factor=setting.factor)
        if (setting.hi, setting.lo) == (self.timesteps, 0):
            return chosen
        return dataclasses.replace(chosen, timestep_range=(setting.hi, setting.lo))

    def check(self, references: Tensor, setting: Setting) -> None:
        """See :class:`..evaluation.store.Maker`."""
        self._maker.check(references, self._settings(setting))

    def calls(self, setting: Setting) -> int:
        """See :class:`..evaluation.store.Maker`."""
        return self._maker.calls(self._settings(setting))

    def make(
        self,
        references: Tensor,
        setting: Setting,
        seeds: Sequence[int],
        advance: Callable[[], None],
    ) -> list[Image.Image]:
        """See :class:`..evaluation.store.Maker`."""
        return self._maker.make(references, self._settings(setting), seeds, lambda _=1: advance())


class SizedMaker(Maker[R], Protocol[R]):
    """Makes the samples of rows, and knows how large they are."""

    size: tuple[int, int]


def gallery_of(
    options: argparse.Namespace, maker: SizedMaker[R], written: dict[str, object]
) -> tuple[Gallery[R], dict[str, object]]:
    """The samples, and everything that they depend on.

    Args:
        options: the command's.
        maker: what makes them.
        written: the settings that they are made with.

    Raises:
        InputError: a reference cannot be read.
    """
    paths = find_images([str(options.references or REFERENCES)])
    opened = [read_image(path) for path in paths]
    references = torch.cat([to_tensor(fit_to(p, maker.size, options.fit)) for p in opened])
    names = [f"{index:02d}_{name_for_results(path)}" for index, path in enumerate(paths)]
    store = RowStore(options.output / "pictures", names, options.samples, options.seed)
    gallery = Gallery(store, maker, references, options.batch_size)
    device = choose_device(options.device)
    model = options.pipeline or options.model or "embedded"
    made_with = {
        **written,
        "model_sha256": model_digest(options),
        "size": list(maker.size),
        "references": names,
        "references_sha256": hashlib.sha256(references.numpy().tobytes()).hexdigest(),
        "samples": options.samples,
        "seed": options.seed,
        "batch_size": options.batch_size,
        "device": device.type,
        "dtype": str(choose_dtype(options.dtype, device, model)).removeprefix("torch."),
    }
    return gallery, made_with


def model_digest(options: argparse.Namespace) -> str:
    """One digest of all files of the model that the options name."""
    if options.pipeline is not None:
        path = LATENT_MODEL if options.pipeline == "embedded" else Path(options.pipeline)
    else:
        model = options.model or "embedded"
        path = PIXEL_MODEL if model == "embedded" else Path(model)
    files = _files(path) if options.lora is None else _files(path) + _files(Path(options.lora))
    if len(files) == 1:
        return sha256(files[0])
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
