"""How many of sixty prompts the latent model draws so that they are recognised, and its FID.

    python -m training.evaluate_prompts [--model DIR] [--cache DIR]

A sample is recognised where one of the five training pictures nearest to it, by the shipped feature
network, is named or tagged with the word that the prompt is about. The list was written after the
shipped model was trained, when sixteen of its samples had been seen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ilvr_latent.embedded import LATENT_MODEL
from ilvr_latent.metrics.distribution import distances
from ilvr_latent.metrics.domain import load_embedded_domain, pooled_features
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


def about(prompt: str) -> str:
    """What a nearest picture must be named: all but "face", where a kind of it is asked for."""
    return prompt.removesuffix(" face").removeprefix("face with ")


def main() -> None:
    """Print the figures as JSON and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--model", default=str(LATENT_MODEL))
    parser.add_argument("--sheet", type=Path, help="a picture of the samples, in the list's order")
    options = parser.parse_args()
    pipe = load_pipeline(options.model)
    pipe.set_progress_bar_config(disable=True)
    made: Tensor = pipe(
        list(PROMPTS),
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE_SCALE,
        generator=[Generator().manual_seed(k) for k in range(len(PROMPTS))],
        output_type="pt",
    ).images
    x = 2 * made - 1
    if options.sheet is not None:
        tiled(x, columns=10).save(options.sheet)
    network = load_feature_network()
    small = F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)
    z = pooled_features(network, small)

    pictures, npm = data.load(options.cache), options.cache / "npm"
    plain = pictures["weights"] >= 0.5
    names = captions.captions(data.select(npm), npm)
    known = [f" {' '.join(name)} " for name, kept in zip(names, plain, strict=True) if kept]
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
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
