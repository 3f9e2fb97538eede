"""The classifier that ships: it knows what it sees, through noise, and pulls samples to a group."""

from __future__ import annotations

import torch
from torch import Generator

from ilvr_latent import load_embedded
from ilvr_latent.diffusion.loop import sample_with
from ilvr_latent.diffusion.noise import SeededNoise
from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.embedded import CLASSIFIER, GROUPS, REFERENCES, load_embedded_classifier
from ilvr_latent.guides.classifier import ClassifierGuidance
from ilvr_latent.pictures.images import fit_to, read_image, to_tensor

SEEN = {"scribble_smiley": 0, "noto_frog": 2, "noto_apple": 3, "twemoji_rocket": 4}


def test_it_is_small() -> None:
    assert CLASSIFIER.stat().st_size <= 3_000_000


def test_it_names_references_even_in_noise() -> None:
    network = load_embedded_classifier()
    pictures = [to_tensor(fit_to(read_image(REFERENCES / f"{n}.png"), (64, 64))) for n in SEEN]
    x_0 = torch.cat(pictures)
    eps = torch.randn(x_0.shape, generator=Generator().manual_seed(0))
    a_bar = alphas_cumprod("cosine", 1000).float()[250]
    truth = torch.tensor(list(SEEN.values()))
    for x_t, t in ((x_0, 0), (a_bar**0.5 * x_0 + (1 - a_bar) ** 0.5 * eps, 250)):
        logits = network(x_t, torch.full((len(x_t),), t))
        assert logits.shape == (len(SEEN), len(GROUPS))
        assert (logits.argmax(dim=1) == truth).sum() >= 3


def test_guidance_raises_the_group_s_likelihood() -> None:
    model, network = load_embedded(), load_embedded_classifier()

    def likelihood(scale: float) -> float:
        guide = ClassifierGuidance(network, 0, scale=scale)
        x = sample_with(model, guide, shape=(4, 3, 64, 64), steps=12, noise=SeededNoise(1, "cpu"))
        value: float = network(x, torch.zeros(len(x))).log_softmax(dim=1)[:, 0].mean().item()
        return value

    assert likelihood(4.0) > likelihood(0.0) + 1
