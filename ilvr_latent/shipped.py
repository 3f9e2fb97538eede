"""Where what comes with the package lies."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
PIXEL_MODEL = ASSETS / "emoji64.safetensors"
LATENT_MODEL = ASSETS / "emoji-latent"
# What its captions were made of, a word a line.
LATENT_WORDS = ASSETS / "emoji-latent-words.txt"
CLASSIFIER = ASSETS / "classifier64.safetensors"
REFERENCES = ASSETS / "references"
# Animated PNGs, whose frames are references.
CLIPS = ASSETS / "clips"
