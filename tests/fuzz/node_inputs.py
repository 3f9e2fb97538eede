"""Inputs of nodes: those that work, and those that another pack or a prompt by hand may give."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from tests.fuzz.mutations import NUMBERS, mutated, text, value

SHAPES = ((1, 3, 16, 16), (2, 3, 16, 16), (1, 3, 9, 31))
SHAPE = SHAPES[0]
VISION = {
    "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "patch_size": 4,
    "intermediate_size": 48, "hidden_act": "quick_gelu", "num_channels": 3, "image_size": 16,
    "model_type": "clip_vision_model", "projection_dim": 8,
}  # fmt: skip
CLASSIFIER = {
    "image_size": 16, "width": 32, "depth": 1, "channel_mult": (1, 2),
    "attention_downsampling": (2,), "num_head_channels": 32, "num_classes": 5,
}  # fmt: skip
# Whole numbers of which a large one is no mistake, but takes long or much memory.
AS_MANY_AS_ONE_LIKES = frozenset(
    ("steps", "batch_size", "width", "height", "corrector_steps", "jump_n_sample", "backward_steps")
)
EXPRESSIONS = (
    *("factor: 2, 4", "seed: 1", "end_percent: 0.5, 1", "sampler_name: euler, ddim", "steps: 1, 2"),
    *("2", "ddim2", "1,1", "0:1, 0.5:0.8, 1:0", "a cat", "auto", ""),
)
Make = Callable[[Random], Any]


def whole_inputs(pack: ModuleType, folder: Path) -> dict[str, Any]:
    """A value that works for each type of socket, and one of each name that needs its own."""
    import mixture

    torch.manual_seed(0)
    vision, classifier = _vision(folder), _classifier(pack, folder)
    reference = {"samples": torch.rand(SHAPE) * 2 - 1}
    model = _model_of_any_size()
    applied = pack.nodes.guides.ilvr.ILVRApply.execute(model, reference, 2.0, 0.0, 1.0, 1.0)[0]
    watched, tape = pack.nodes.tools.report.ILVRRecord.execute(applied).args
    made = mixture.sampled(watched, shape=SHAPE, steps=2)
    adm = pack.nodes.models.adm.ILVRLoadADM.execute(pack.nodes.models.adm.EMBEDDED)[0]
    return {
        "MODEL": model,
        "ILVRRecord.model": applied,
        "ILVRADMSchedule.model": adm,
        "LATENT": reference,
        "ILVRReport.samples": {"samples": made},
        "IMAGE": torch.rand(1, 16, 16, 3),
        "MASK": torch.ones(1, 16, 16),
        "VAE": pack.nodes.models.pixel_vae.pixel_vae(),
        "CLIP": Clip(),
        "CLIP_VISION": vision,
        "CONDITIONING": mixture.conditioning(),
        "SAMPLER": _sampler(),
        "ILVR_RECORDING": tape,
        "ILVR_CLASSIFIER": classifier,
        "ILVRGrid.rows": "factor: 2, 4",
        "ILVRGrid.columns": "",
        "ILVRGrid.steps": 2,
        "ILVRGrid.cell_size": 64,
        "ILVRADMSchedule.respacing": "2",
        "ILVRUniversalGuidance.backward_steps": 1,
        "ILVRResample.jump_length": 1,
        "ILVRResample.jump_n_sample": 2,
        "ILVREmptyPixels.width": 16,
        "ILVREmptyPixels.height": 16,
        "start_percent": 0.0,
        "end_percent": 1.0,
        "text": "a cat",
    }


def _model_of_any_size() -> Any:
    """A denoiser whose answer is known."""
    import mixture

    model = mixture.mixture("eps", SHAPE)
    own = model.model._apply_model

    def at_any_size(x: Tensor, t: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        model.model.means = mixture.means((1, 3, *x.shape[-2:]))
        x_0: Tensor = own(x, t, *args, **kwargs)
        return x_0

    model.model._apply_model = at_any_size
    return model


class Clip:
    """What a node asks of the host's CLIP."""

    def tokenize(self, prompt: str) -> str:
        """As it is."""
        return prompt

    def encode_from_tokens(self, tokens: str, return_pooled: bool) -> tuple[Tensor, Tensor]:
        """Numbers that depend on the length."""
        generator = torch.Generator().manual_seed(len(tokens))
        return torch.zeros(1, 1, 8), torch.randn(1, 8, generator=generator)


def _vision(folder: Path) -> Any:
    import comfy.clip_vision
    import tiny

    path = folder / "vision.json"
    path.write_text(json.dumps(VISION))
    vision = comfy.clip_vision.ClipVisionModel(str(path))
    tiny.with_random_weights(vision.model)
    return vision


def _classifier(pack: ModuleType, folder: Path) -> Any:
    import folder_paths
    from safetensors.torch import save_file

    adm = pack.ilvr_latent.adm
    network = adm.ADMClassifier(adm.ClassifierConfig(**CLASSIFIER))
    weights = {name: 0.1 * torch.randn_like(each) for name, each in network.state_dict().items()}
    save_file(weights, folder / "classifier.safetensors")
    folder_paths.folder_names_and_paths["adm"] = ([str(folder)], {".safetensors", ".pt"})
    node = pack.nodes.models.classifier.ILVRLoadClassifier
    return node.execute("classifier.safetensors", num_head_channels=32)[0]


def _sampler() -> Any:
    import comfy.samplers

    return comfy.samplers.sampler_object("euler")


# ---- what is hostile ----


def hostile_input(given: Any, whole: Any, random: Random) -> Any:
    """A value of an input that nobody means; it may happen to work."""
    kind = str(given.io_type)
    if random.random() < 0.1:
        return value(random)
    if kind in ("INT", "FLOAT"):
        return _number(given, random)
    if kind in ("STRING", "COMBO"):
        options = getattr(given, "options", None) or ()
        if options and random.random() < 0.5:
            return random.choice(options)
        own = [*EXPRESSIONS, *options]
        changed = mutated((random.choice(own) or "x").encode(), random, 3)
        return random.choice((text(random), changed.decode(errors="replace"), random.choice(own)))
    if kind == "BOOLEAN":
        return random.choice((True, False, 2, None, "true", torch.ones(2)))
    if kind in TENSORS:
        return TENSORS[kind](random)
    if kind == "CONDITIONING":
        return random.choice(([], [[]], [[None, {}]], [[torch.zeros(1, 1, 8), {}], 5], [[1, 2]]))
    # Another object of the host, in its place.
    return random.choice((object(), SimpleNamespace(model=None, patcher=None), type(whole), Clip()))


def _number(given: Any, random: Random) -> Any:
    edges = [given.min, given.min - 1, given.max + 1]
    if given.id not in AS_MANY_AS_ONE_LIKES:
        edges += [given.max, (given.min + given.max) // 2]
        if random.random() < 0.6:
            between = random.uniform(given.min, min(given.max, given.min + 4))
            return random.choice((given.min, given.max, int(between) or given.min, between))
    numbers = [one for one in NUMBERS if not given.min < one < given.max]
    if str(given.io_type) == "FLOAT":
        numbers += [given.min + 1e-9, given.max - 1e-9]
    return random.choice((*edges, *numbers, "1", None, True, torch.tensor(2)))


def _tensor(random: Random, shapes: Sequence[Sequence[int]]) -> Tensor:
    shape = list(random.choice(shapes))
    if random.random() < 0.3:
        shape[random.randrange(len(shape))] = random.choice((0, 1, 2, 3, 5, 7, 200))
    if random.random() < 0.05:
        shape = shape[1:] if random.random() < 0.5 else [1, *shape]
    x = torch.rand(shape)
    kind = random.randrange(15)
    if kind == 0 and x.numel():
        x.flatten()[random.randrange(x.numel())] = random.choice((math.nan, math.inf, 1e38, -7.0))
    elif kind == 1:
        return x.to(random.choice((torch.float16, torch.bfloat16, torch.float64, torch.int64)))
    elif kind == 2:
        return x.mT if x.ndim > 1 else x
    elif kind == 3:
        return x * random.choice((0, 1e30, -1, 255, 1e-40))
    elif kind == 4:
        return x.to(random.choice((torch.bool, torch.complex64, torch.uint8)))
    return x


def _latent(random: Random) -> Any:
    shapes = (*SHAPES, (1, 4, 16, 16), (1, 3, 5, 16, 16), (3, 3, 1, 1), (1, 16, 3, 4, 4), (1, 2, 9))
    latent = {
        "samples": _tensor(random, shapes),
        "noise_mask": random.choice((None, _mask(random), torch.ones(1, 1, 16, 16), 5)),
        "batch_index": random.choice((None, [0], [5, 3])),
    }
    if random.random() < 0.6:
        latent = {"samples": latent["samples"]}
    elif random.random() < 0.1:
        latent.pop("samples")
    return latent


def _mask(random: Random) -> Tensor:
    return _tensor(random, ((1, 16, 16), (16, 16), (17, 8, 8), (1, 1, 16, 16), (2, 1, 300)))


def _image(random: Random) -> Tensor:
    shapes = ((1, 16, 16, 3), (2, 9, 31, 3), (1, 16, 16, 4), (1, 8, 8, 1), (1, 1, 2000, 3))
    return _tensor(random, shapes)


TENSORS: dict[str, Make] = {"LATENT": _latent, "MASK": _mask, "IMAGE": _image}


@dataclasses.dataclass(frozen=True)
class Given:
    """The inputs of one call."""

    values: dict[str, Any]
    wrong: tuple[str, ...]
