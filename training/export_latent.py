"""Write the averaged weights of the two latent runs as a Stable Diffusion pipeline, in fp16.

    python -m training.export_latent [--cache DIR] [--output DIR]

The folder has diffusers' layout, so that `StableDiffusionPipeline.from_pretrained` opens it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

from ilvr_latent.shipped import LATENT_WORDS
from training import captions, data
from training.latents import scaling_factor, trained_autoencoder
from training.loop import averaged_weights
from training.train_latent import build, process

OUTPUT = Path("ilvr_latent/assets/emoji-latent")


def assemble(cache: Path) -> StableDiffusionPipeline:
    """The trained networks as one pipeline, fp32."""
    tokenizer = CLIPTokenizer.from_pretrained(cache / "tokenizer")
    model = build()
    model.load_state_dict(averaged_weights("latent", cache)[0])
    vae = trained_autoencoder(cache)
    vae.register_to_config(scaling_factor=round(scaling_factor(cache), 5))
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=model.text_encoder,
        tokenizer=tokenizer,
        unet=model.unet,
        scheduler=process(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def prefix_text_encoder(file: Path) -> None:
    """Give the keys the prefix that every published CLIP has, and older transformers need."""
    weights = load_file(file)
    prefix = "text_model."
    save_file(
        {prefix + key.removeprefix(prefix): tensor for key, tensor in weights.items()},
        file,
        metadata={"format": "pt"},
    )


def change_setting(file: Path, name: str, value: str | None) -> None:
    """Set one value of a configuration, or drop it.

    transformers 5 loads a text encoder in the precision that its configuration names, the rest of
    the pipeline is loaded in fp32; AutoencoderTiny warns of a value that it wrote itself.
    """
    config = json.loads(file.read_text())
    del config[name]
    if value is not None:
        config[name] = value
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main() -> None:
    """Replace the folder by the last checkpoints' weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    pipe = assemble(options.cache).to(dtype=torch.float16)
    with tempfile.TemporaryDirectory(dir=options.output.parent) as made:
        folder = Path(made) / "model"
        pipe.save_pretrained(folder)
        # The tokenizer's files as they were made: older versions read no other form.
        shutil.rmtree(folder / "tokenizer")
        shutil.copytree(options.cache / "tokenizer", folder / "tokenizer")
        prefix_text_encoder(folder / "text_encoder" / "model.safetensors")
        change_setting(folder / "text_encoder" / "config.json", "dtype", "float32")
        change_setting(folder / "vae" / "config.json", "block_out_channels", None)
        shutil.rmtree(options.output, ignore_errors=True)
        folder.replace(options.output)
    LATENT_WORDS.write_text("".join(f"{word}\n" for word in captions.all_words(options.cache)))
    size = sum(file.stat().st_size for file in options.output.rglob("*") if file.is_file())
    seen = averaged_weights("latent", options.cache)[1]
    print(f"{options.output}: {size / 1e6:.1f} MB, {seen} pictures")


if __name__ == "__main__":
    main()
