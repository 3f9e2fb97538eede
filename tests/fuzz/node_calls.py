"""Calls of nodes with inputs that nobody means, and two steps of a sampler with what they give.

Needs a ComfyUI, and its Python.
"""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import torch

from tests.fuzz.node_inputs import SHAPES, hostile_input, whole_inputs
from tests.fuzz.watch import Case
from tests.host.conftest import import_comfyui, load_pack

# What is not fast where nothing is wrong.
RARE = ("ILVRLoadDemo", "ILVRLoadADM")


class NodeCalls:
    """Cases of a seed.

    Args:
        folder: for files.
        seed: the same cases for the same seed.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._seed, self.pack = seed, loaded_pack()
        with torch.inference_mode():
            self._whole = whole_inputs(self.pack, folder)
        nodes = asyncio.run(self.pack.nodes.extension.ILVRExtension().get_node_list())
        # As the host does, each call is that of a copy of the class.
        self._nodes = {node.define_schema().node_id: node for node in nodes}
        often = [name for name in self._nodes if name not in RARE]
        self._names = (*often * 5, *RARE)

    def __call__(self, number: int) -> Case:
        """A case, by its number."""
        random = Random(f"node {self._seed} {number}")
        name = random.choice(self._names)
        inputs = self._nodes[name].define_schema().inputs
        values = {one.id: self._value(name, one, random) for one in inputs}
        values = {id_: given for id_, given in values.items() if given is not None}
        wrong = random.sample(inputs, min(len(inputs), random.choice((1, 1, 2))))
        for one in wrong:
            values[one.id] = hostile_input(one, self._whole.get(str(one.io_type)), random)
        shape = random.choice(SHAPES)
        said = {one.id: _short(values[one.id]) for one in wrong}
        named = [one.id.replace("_", by) for one in inputs for by in "_ "]
        named += [each[:40] for each in values.values() if isinstance(each, str) and each.strip()]
        call = functools.partial(self._call, name, values, shape)
        return Case(f"{number} {name} {said} {shape}", call, [*named, *NAMES.get(name, ())])

    def _value(self, node: str, given: Any, random: Random) -> Any:
        """One that works; some that are optional are left out."""
        for key in (f"{node}.{given.id}", given.id, str(given.io_type)):
            if key in self._whole:
                return None if given.optional and random.random() < 0.5 else self._whole[key]
        default = getattr(given, "default", None)
        return given.options[0] if default is None and hasattr(given, "options") else default

    def _call(self, name: str, values: dict[str, Any], shape: tuple[int, ...]) -> None:
        with torch.inference_mode():
            node = self._nodes[name].PREPARE_CLASS_CLONE(None)
            for made in node.EXECUTE_NORMALIZED(**values).args:
                self._use(made, shape)

    def _use(self, made: Any, shape: tuple[int, ...]) -> None:
        """Two steps with a MODEL or a SAMPLER."""
        import comfy.sample
        import comfy.samplers
        import mixture

        if hasattr(made, "get_model_object") and hasattr(made.model, "model_sampling"):
            if made.get_model_object("latent_format").latent_channels == shape[1]:
                mixture.sampled(made, shape=shape, steps=2)
        elif hasattr(made, "sample") and hasattr(made, "sampler_function"):
            model = self._whole["MODEL"]
            sigmas = comfy.samplers.calculate_sigmas(
                model.get_model_object("model_sampling"), "normal", 3
            )
            latent, prompt = torch.zeros(shape), mixture.conditioning()
            noise = comfy.sample.prepare_noise(latent, 0)
            comfy.sample.sample_custom(
                model, noise, 1.0, made, sigmas, prompt, prompt, latent, disable_pbar=True, seed=0
            )


# Words for an input that are not its name.
NAMES = {
    "ILVRGrid": ("axis", "axes", "widen it"),
    "ILVRADMSampler": ("ADM Sampler",),
    "ILVRRecord": ("ILVR Apply",),
    "ILVREGSDE": ("reference",),
    "ILVRLoadADM": ("latent",),
    "ILVRLoadDemo": ("latent",),
}


def _short(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype}{tuple(value.shape)}"
    if isinstance(value, dict):
        return str({name: _short(each) for name, each in value.items()})
    return ascii(value)[:80]


def loaded_pack() -> ModuleType:
    """The pack in a ComfyUI.

    Raises:
        ModuleNotFoundError: there is none with this Python.
    """
    if import_comfyui() is None:
        raise ModuleNotFoundError("no ComfyUI with this Python ($COMFYUI_PATH)")
    pack = load_pack()
    __import__(f"{pack.__name__}.nodes.extension")
    return pack
