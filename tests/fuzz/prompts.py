"""Prompts for a server: graphs of the embedded models, and what nobody means in their place."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.fuzz.mutations import value

Graph = dict[str, dict[str, Any]]
EMBEDDED = "emoji64.safetensors (embedded)"
# By the model that they load.
OF_A_MODEL = (("pixels", "resampled"), ("latent", "translated"))
KINDS = (*OF_A_MODEL[0], *OF_A_MODEL[1])


def prompt(kind: str, seed: int) -> Graph:
    """A graph that takes about a second.

    Args:
        kind: one of ``KINDS``.
        seed: of the sampler; another one makes the host run it again.
    """
    make = {"pixels": _pixels, "latent": _latent, "resampled": _resampled, "translated": _egsde}
    return make[kind](seed)


def hostile_prompt(random: Random, kinds: Sequence[str] = KINDS) -> tuple[Graph, str]:
    """A graph with an input of one of our nodes exchanged, and which it is."""
    graph = copy.deepcopy(prompt(random.choice(kinds), random.randrange(2**32)))
    ours = [name for name, node in graph.items() if node["class_type"].startswith("ILVR")]
    name = random.choice(ours)
    given = graph[name]["inputs"]
    changed = random.choice(tuple(given))
    given[changed] = random.choice((value(random), value(random), [random.choice(ours), 0]))
    return graph, f"{graph[name]['class_type']}.{changed} = {json.dumps(given[changed])[:80]}"


def _node(name: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": name, "inputs": inputs}


def _sampled(seed: int, model: str, **more: Any) -> dict[str, Any]:
    return _node(
        "KSampler", model=[model, 0], latent_image=["empty", 0], seed=seed, steps=3, cfg=1.0,
        sampler_name="euler", scheduler="normal", denoise=1.0, **more,
    )  # fmt: skip


def _shown() -> Graph:
    return {
        "decode": _node("VAEDecode", samples=["sampler", 0], vae=["vae", 0]),
        "show": _node("PreviewImage", images=["decode", 0]),
    }


def _decoded_by(loader: str, output: int) -> Graph:
    graph = _shown()
    graph["decode"]["inputs"]["vae"] = [loader, output]
    return graph


def _of_pixels() -> Graph:
    """The embedded pixel model at a quarter of its size, with a picture of its own to follow."""
    return {
        "load": _node("ILVRLoadADM", ckpt_name=EMBEDDED),
        "label": _node("ILVRADMConditioning", class_label=-1),
        "empty": _node("ILVREmptyPixels", width=32, height=32, batch_size=1),
        "picture": _node("LoadImage", image="ilvr/noto_apple.png"),
        "reference": _node(
            "ILVRReferenceEncode", image=["picture", 0], vae=["load", 1], latent=["empty", 0],
            fit="crop", transparency=["picture", 1],
        ),
        "apply": _node(
            "ILVRApply", model=["load", 0], reference=["reference", 0], factor=4.0,
            start_percent=0.0, end_percent=0.8, weight=1.0, space="state", noise="hybrid",
        ),
    }  # fmt: skip


def _pixels(seed: int) -> Graph:
    """Recorded and reported."""
    return {
        **_of_pixels(),
        "record": _node("ILVRRecord", model=["apply", 0]),
        "sampler": _sampled(seed, "record", positive=["label", 0], negative=["label", 1]),
        "report": _node("ILVRReport", recording=["record", 1], samples=["sampler", 0]),
        "plots": _node("PreviewImage", images=["report", 0]),
        **_decoded_by("load", 1),
    }


def _resampled(seed: int) -> Graph:
    """With jumps and the sampler of the paper."""
    return {
        **_of_pixels(),
        "ddpm": _node("ILVRADMSampler", sampler="ddpm", eta=0.0, clip_denoised=True),
        "jumps": _node("ILVRResample", sampler=["ddpm", 0], jump_length=1, jump_n_sample=2),
        "levels": _node("ILVRADMSchedule", model=["load", 0], respacing="3"),
        "sampler": _node(
            "SamplerCustom", model=["apply", 0], add_noise=True, noise_seed=seed, cfg=1.0,
            positive=["label", 0], negative=["label", 1], sampler=["jumps", 0],
            sigmas=["levels", 0], latent_image=["empty", 0],
        ),
        **_decoded_by("load", 1),
    }  # fmt: skip


def _of_latents() -> Graph:
    return {
        "load": _node("ILVRLoadDemo", which="text to image (latent)"),
        "text": _node("CLIPTextEncode", clip=["load", 1], text="red apple"),
        "empty": _node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "picture": _node("LoadImage", image="ilvr/noto_apple.png"),
        "reference": _node(
            "ILVRReferenceEncode", image=["picture", 0], vae=["load", 2], latent=["empty", 0],
        ),
        "sampler": {},
    }  # fmt: skip


def _latent(seed: int) -> Graph:
    """Text to image with a reference."""
    return {
        **_of_latents(),
        "apply": _node(
            "ILVRApply", model=["load", 0], reference=["reference", 0], factor=2.0,
            start_percent=0.0, end_percent=1.0, weight=0.7, kernel="box", space="prediction",
        ),
        "sampler": _sampled(seed, "apply", positive=["text", 0], negative=["text", 0]),
        **_decoded_by("load", 2),
    }  # fmt: skip


def _egsde(seed: int) -> Graph:
    """Three other guides in a row."""
    return {
        **_of_latents(),
        "blocks": _node(
            "ILVRBlockStatistics", model=["load", 0], reference=["reference", 0], blocks=2,
            start_percent=0.0, end_percent=0.5, deviations=True,
        ),
        "energy": _node(
            "ILVREGSDE", model=["blocks", 0], source=["reference", 0], factor=2.0, faithful=0.5,
        ),
        "style": _node(
            "ILVRStyle", model=["energy", 0], style=["reference", 0], factor=0.25, weight=0.5,
            start_percent=0.0, end_percent=1.0, palette=True,
        ),
        "sampler": _sampled(seed, "style", positive=["text", 0], negative=["text", 0]),
        **_decoded_by("load", 2),
    }  # fmt: skip
