"""The models and pictures that come with the package; nothing is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .adm import load_adm, load_adm_classifier
from .shipped import ASSETS, CLASSIFIER, LATENT_MODEL, PIXEL_MODEL, REFERENCES

if TYPE_CHECKING:
    from .adm.classifier_network import ADMClassifier
    from .adm.unet import ADM

__all__ = [
    "ASSETS",
    "CLASSIFIER",
    "CLASSIFIER_FLAGS",
    "GROUPS",
    "LATENT_MODEL",
    "PIXEL_MODEL",
    "REFERENCES",
    "load_embedded",
    "load_embedded_classifier",
    "load_embedded_pipeline",
]


GROUPS = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
)
"""What the embedded classifier tells apart: Unicode's groups of emoji, without flags."""

CLASSIFIER_FLAGS: dict[str, Any] = {
    "num_head_channels": 32,
    "patch": 2,
    "noise_schedule": "cosine",
}
"""What its file does not tell."""


def load_embedded(*, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> ADM:
    """The embedded pixel model: 64x64 glossy emoji, 5.7 million parameters.

    Args:
        device: where to put it.
        dtype: precision of the network; fp32 by default.
    """
    return load_adm(PIXEL_MODEL, device=device, dtype=dtype)


def load_embedded_classifier(*, device: torch.device | str = "cpu") -> ADMClassifier:
    """The embedded classifier of noisy 64x64 pictures, for the embedded pixel model.

    Its labels are the positions in :data:`GROUPS`. For
    :class:`~ilvr_latent.guides.classifier.ClassifierGuidance`; 0.9 million parameters, fp32.

    Args:
        device: where to put it.
    """
    return load_adm_classifier(CLASSIFIER, device=device, **CLASSIFIER_FLAGS)


def load_embedded_pipeline(
    *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Any:
    """The embedded latent model, a diffusers ``StableDiffusionPipeline``: 128x128 glossy emoji.

    Args:
        device: where to put it.
        dtype: its precision; fp32 by default.

    Raises:
        InputError: this copy of the package came without it.
    """
    # diffusers is heavy.
    from .pipelines.load import load_pipeline

    return load_pipeline("embedded", device=device, dtype=dtype)
