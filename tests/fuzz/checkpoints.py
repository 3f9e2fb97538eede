"""Checkpoints that mean harm, or are broken: read by every door that reads one."""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ilvr_latent import InputError, inspect_checkpoint, load_adm, save_adm
from ilvr_latent.adm import ADMConfig, cache, load_adm_classifier
from ilvr_latent.adm.unet import ADM, ADMUNet
from ilvr_latent.pipelines.load import load_pipeline
from tests.conftest import TINY
from tests.fuzz.mutations import mutated, text, value
from tests.fuzz.pickles import PICKLES
from tests.fuzz.tensors import hostile_state_dict
from tests.fuzz.watch import Case

REFUSALS = (InputError,)
FLAGS: dict[str, Any] = {
    "image_size": 16,
    "num_head_channels": 16,
    "use_new_attention_order": False,
    "noise_schedule": "linear",
}
SMALL = dataclasses.replace(TINY, channel_mult=(1,), attention_levels=(0,))


class Checkpoints:
    """Cases of a seed.

    Args:
        folder: for files; each case has one of its own name and takes the place of an earlier.
        seed: the same cases for the same seed.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        torch.manual_seed(0)
        whole = folder / "whole.safetensors"
        save_adm(ADM(ADMUNet(SMALL), SMALL).eval(), whole, dtype=torch.float16)
        self._tensors = load_file(whole)
        self._metadata = SMALL.to_metadata()
        self._whole = {"safetensors": whole.read_bytes()}
        for name, zipped in (("pt", True), ("old.pt", False)):
            path = folder / f"whole.{name}"
            torch.save(self._tensors, path, _use_new_zipfile_serialization=zipped)
            self._whole[name] = path.read_bytes()
        self._makers: tuple[Callable[[Random], tuple[bytes, str]], ...] = (
            *(self._changed_bytes, self._changed_header, self._changed_metadata),
            *(self._odd_tensors, self._changed_names, self._pickle),
        )

    def __call__(self, number: int) -> Case:
        """A case, by its number."""
        random = Random(f"checkpoint {self._seed} {number}")
        make = random.choice(self._makers)
        content, suffix = make(random)
        path = self._folder / f"hostile-{number % 8}.{suffix}"
        path.write_bytes(content)
        flags = dict(FLAGS) if random.random() < 0.7 else {}
        named = [path.name]
        if random.random() < 0.1:
            name = random.choice((*FLAGS, "num_classes", "channel_mult", "no_such_flag"))
            flags[name] = value(random)
            named.append(name)
        door, tried = self._door(random, path, flags)
        return Case(f"{number} {make.__name__} {suffix} {door} {flags}", tried, named)

    def _door(
        self, random: Random, path: Path, flags: dict[str, Any]
    ) -> tuple[str, Callable[[], object]]:
        kind = random.random()
        weights = random.choice(("ema", "model"))
        if kind < 0.6:
            return "load_adm", lambda: load_adm(path, weights=weights, **flags)
        if kind < 0.8:
            return "inspect", lambda: inspect_checkpoint(path, weights=weights, **flags).to_dict()
        if kind < 0.93:
            return "classifier", lambda: load_adm_classifier(path)
        if kind < 0.96:
            return "pipeline", lambda: load_pipeline(str(path))
        return "cache", lambda: self._from_cache(path)

    def _from_cache(self, hostile: Path) -> object:
        """A whole checkpoint, whose cached copy is the hostile file."""
        own = self._folder / "whole.pt"
        copy = cache.location(own)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(hostile.read_bytes())
        return load_adm(own, **FLAGS)

    # ---- how a file is spoilt ----

    def _changed_bytes(self, random: Random) -> tuple[bytes, str]:
        suffix = random.choice(tuple(self._whole))
        raw = self._whole[suffix]
        if suffix == "safetensors" and random.random() < 0.7:
            length = 8 + int.from_bytes(raw[:8], "little")
            return mutated(raw[:length], random) + raw[length:], suffix
        return mutated(raw, random), suffix

    def _changed_header(self, random: Random) -> tuple[bytes, str]:
        raw = self._whole["safetensors"]
        length = 8 + int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8:length])
        name = random.choice([key for key in header if key != "__metadata__"])
        key = random.choice(("dtype", "shape", "data_offsets", None))
        kinds = ("I64", "BOOL", "F8_E4M3", "F64", "C64", "x", "U8", "BF16")
        if key is None:
            header[random.choice((name, text(random)))] = value(random)
        elif key == "dtype":
            header[name][key] = random.choice(kinds)
        else:
            numbers = [random.choice((0, 1, 2, 16, 2**31, 2**62, -1, 1e9)) for _ in range(4)]
            header[name][key] = numbers[: random.randrange(5)]
        written = json.dumps(header).encode()
        return struct.pack("<Q", len(written)) + written + raw[length:], "safetensors"

    def _changed_metadata(self, random: Random) -> tuple[bytes, str]:
        metadata = dict(self._metadata)
        name = random.choice(tuple(metadata))
        if metadata[name].startswith("{"):
            config = json.loads(metadata[name])
            fields = [field.name for field in dataclasses.fields(ADMConfig)]
            for _ in range(random.randint(1, 2)):
                config[random.choice((*fields, text(random)))] = value(random)
            metadata[name] = json.dumps(config)
        else:
            metadata[name] = random.choice((text(random), json.dumps(value(random))))
        return self._saved(self._tensors, metadata), "safetensors"

    def _changed_names(self, random: Random) -> tuple[bytes, str]:
        tensors = dict(self._tensors)
        for _ in range(random.randint(1, 3)):
            name = random.choice(tuple(tensors))
            number = random.choice(("999999999", "9" * 5000, "-1", "", "0x1", "1.5", "٣"))
            other = random.choice(
                (
                    *(name.replace("0", number), name[::-1], name * 300, f"module.{name}"),
                    *(f"output_blocks.{number}.0.in_layers.0.weight", text(random)),
                )
            )
            tensors[other] = tensors[name] if random.random() < 0.5 else tensors.pop(name)
        metadata = self._metadata if random.random() < 0.5 else {}
        if random.random() < 0.5:
            return self._pickled(tensors), "pt"
        return self._saved(tensors, metadata), "safetensors"

    def _odd_tensors(self, random: Random) -> tuple[bytes, str]:
        return self._pickled(hostile_state_dict(self._tensors, random)), "pt"

    def _pickle(self, random: Random) -> tuple[bytes, str]:
        return random.choice(PICKLES)(self._whole, random), random.choice(("pt", "safetensors"))

    def _pickled(self, content: object) -> bytes:
        path = self._folder / "pickled"
        torch.save(content, path)
        return path.read_bytes()

    def _saved(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
        path = self._folder / "saved"
        plain = {
            ascii(name) if not name.isascii() else name: t.clone() for name, t in tensors.items()
        }
        save_file(
            plain, path, {k: v.encode(errors="replace").decode() for k, v in metadata.items()}
        )
        return path.read_bytes()
