"""How many of sixty prompts the latent model draws so that they are recognised, and its FID.

    python -m training.evaluate_prompts [--model DIR] [--cache DIR]

A sample is recognised where one of the five training pictures nearest to it, by the shipped feature
network, is named or tagged with the word that the prompt is about. The list was written after the
first training on a GPU, when sixteen samples had been seen.

Sixty are few for FID: with the names of 256 training pictures as prompts, it is that of 256, by the
domain's own network and by one that never saw an emoji (the extra ``imagenet``).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ilvr_latent.embedded import LATENT_MODEL
from ilvr_latent.metrics.distribution import distances
from ilvr_latent.metrics.domain import (
    EMBEDDED_DOMAIN,
    IMAGENET_DOMAIN,
    load_embedded_domain,
    pooled_features,
)
from ilvr_latent.metrics.imagenet import load_imagenet_network
from ilvr_latent.metrics.network import SIDE, load_feature_network
from ilvr_latent.pipelines.load import load_pipeline
from training import captions, data
from training.report import resized, tiled

FACES = "grinning face|winking face|angry face|crying face|sleeping face|face with sunglasses"
ANIMALS = "cat face|dog face|frog|pig face|lion|bear|rabbit face|monkey face|owl|penguin|fish|whale"
FRUIT = "red apple|banana|lemon|grapes|strawberry|pear|watermelon|cherries|pineapple|tomato"
FOOD = "pizza|hamburger|birthday cake|ice cream|bread|egg"
HEARTS = "red heart|blue heart|green heart|yellow heart|purple heart|broken heart"
TOOLS = "hammer|wrench|scissors|key|umbrella|light bulb|pencil|camera|bell|book"
REST = "car|bus|rocket|airplane|sunflower|tree|rose|moon|star|house"
PROMPTS = tuple("|".join((FACES, ANIMALS, FRUIT, FOOD, HEARTS, TOOLS, REST)).split("|"))
NEAREST, STEPS, GUIDANCE_SCALE = 5, 25, 4.0
CAPTIONS, BATCH, GUIDANCE_SCALE_OF_CAPTIONS = 256, 64, 3.0


def about(prompt: str) -> str:
    """What a nearest picture must be named: all but "face", where a kind of it is asked for."""
    return prompt.removesuffix(" face").removeprefix("face with ")


@torch.inference_mode()
def drawn(pipe: Any, prompts: list[str], guidance_scale: float, steps: int = STEPS) -> Tensor:
    """One sample for each prompt, (B, 3, 128, 128) in [-1, 1]; prompt k has seed k."""
    parts = []
    for first in range(0, len(prompts), BATCH):
        some = prompts[first : first + BATCH]
        made = pipe(
            some,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            generator=[Generator().manual_seed(first + k) for k in range(len(some))],
            output_type="pt",
        )
        parts.append(2 * made.images - 1)
    return torch.cat(parts)


def small(x: Tensor) -> Tensor:
    """As the networks take it."""
    return F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)


def by_captions(pipe: Any, names: list[str]) -> dict[str, float]:
    """FID and KID of one sample for each of these names, by both networks."""
    x = small(drawn(pipe, names, GUIDANCE_SCALE_OF_CAPTIONS))
    figures: dict[str, float] = {}
    for label, network, domain in (
        ("domain", load_feature_network(), EMBEDDED_DOMAIN),
        ("ImageNet", load_imagenet_network(), IMAGENET_DOMAIN),
    ):
        apart = distances(pooled_features(network, x), load_embedded_domain(domain).features)
        figures |= {f"FID, {label}": apart.fid, f"KID x 1000, {label}": 1000 * apart.kid}
    return figures


def main() -> None:
    """Print the figures as JSON and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--model", default=str(LATENT_MODEL))
    parser.add_argument("--sheet", type=Path, help="a picture of the samples, in the list's order")
    options = parser.parse_args()
    pipe = load_pipeline(options.model)
    pipe.set_progress_bar_config(disable=True)
    x = drawn(pipe, list(PROMPTS), GUIDANCE_SCALE)
    if options.sheet is not None:
        tiled(x, columns=10).save(options.sheet)
    network = load_feature_network()
    z = pooled_features(network, small(x))

    pictures, npm = data.load(options.cache), options.cache / "npm"
    plain = pictures["weights"] >= 0.5
    names = captions.captions(data.select(npm), npm)
    known = [f" {' '.join(name)} " for name, kept in zip(names, plain, strict=True) if kept]
    trained = plain & ~pictures["held_out"]
    solid = [name[0] for name, kept in zip(names, trained, strict=True) if kept]
    pool = pooled_features(network, resized(pictures["images"][plain], SIDE))
    near = torch.cdist(z, pool).topk(NEAREST, largest=False).indices.tolist()
    found = [
        any(f" {about(prompt)} " in known[k] for k in places)
        for prompt, places in zip(PROMPTS, near, strict=True)
    ]
    figures = {
        "prompts": len(PROMPTS),
        "recognised": sum(found),
        "not recognised": [p for p, ok in zip(PROMPTS, found, strict=True) if not ok],
        "fid": distances(z, load_embedded_domain().features).fid,
        "by captions": by_captions(pipe, solid[:: len(solid) // CAPTIONS][:CAPTIONS]),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
