"""``ilvr adm-sample``: the paper authors' ``ilvr_sample.py``, flag for flag."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..adm import load_adm
from ..adm.authors import authors_window
from ..adm.flags import MissingFlags
from ..diffusion.noise import SeededNoise
from ..diffusion.schedule import Schedule
from ..errors import InputError
from ..guides.reference import Reference
from ..pictures.files import output_folder
from ..pictures.images import read_image, save_png, to_images, to_tensor
from ..sampling import sample
from .common import choose_device, progress

if TYPE_CHECKING:
    from ..adm.config import ADMConfig
    from ..adm.unet import ADM

EXAMPLE = """ilvr adm-sample --attention_resolutions 16 --class_cond False --diffusion_steps 1000 \\
    --dropout 0.0 --image_size 256 --learn_sigma True --noise_schedule linear --num_channels 128 \\
    --num_head_channels 64 --num_res_blocks 1 --resblock_updown True --use_fp16 False \\
    --use_scale_shift_norm True --timestep_respacing 100 --model_path models/ffhq_10m.pt \\
    --base_samples ref_imgs/face --down_N 32 --range_t 20 --save_dir output"""


def _boolean(text: str) -> bool:
    if text.lower() in ("yes", "true", "t", "y", "1"):
        return True
    if text.lower() in ("no", "false", "f", "n", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")


# guided-diffusion's defaults of the flags that describe the network and its process.
MODEL_FLAGS: dict[str, object] = {
    "image_size": 64,
    "num_channels": 128,
    "num_res_blocks": 2,
    "num_heads": 4,
    "num_heads_upsample": -1,
    "num_head_channels": -1,
    "attention_resolutions": "16,8",
    "channel_mult": "",
    "dropout": 0.0,
    "class_cond": False,
    "use_checkpoint": False,
    "use_scale_shift_norm": True,
    "resblock_updown": False,
    "use_fp16": False,
    "use_new_attention_order": False,
    "learn_sigma": False,
    "diffusion_steps": 1000,
    "noise_schedule": "linear",
    "use_kl": False,
    "predict_xstart": False,
    "rescale_timesteps": False,
    "rescale_learned_sigmas": False,
}
RUN_FLAGS: dict[str, object] = {
    "clip_denoised": True,
    "num_samples": 10000,
    "batch_size": 4,
    "down_N": 32,
    "range_t": 0,
    "use_ddim": False,
    "base_samples": "",
    "model_path": "",
    "save_dir": "",
    "save_latents": False,
    "timestep_respacing": "",
}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The authors' flags with their defaults, and three of ours."""
    for name, default in (RUN_FLAGS | MODEL_FLAGS).items():
        kind = _boolean if isinstance(default, bool) else type(default)
        parser.add_argument(
            f"--{name}",
            type=kind,
            # Left out, a flag of the network is first looked for in the file, see _load.
            default=argparse.SUPPRESS if name in MODEL_FLAGS else default,
            help=f"default {default!r}",
        )
    parser.add_argument("--seed", type=int, default=0, help="ours; the authors' runs are unseeded")
    parser.add_argument("--device", default="auto", help="ours: auto, cpu, cuda, mps")


def run(options: argparse.Namespace) -> None:
    """Sample for each reference in turn until ``--num_samples`` pictures are made."""
    for name in ("model_path", "base_samples", "save_dir"):
        if not getattr(options, name):
            raise InputError(f"--{name} is missing; give a path.")
    paths = _reference_paths(Path(options.base_samples))
    if not 1 <= options.batch_size <= len(paths):
        raise InputError(
            f"--batch_size is {options.batch_size} for {len(paths)} references in "
            f"{options.base_samples!r}; use 1 to {len(paths)}."
        )
    if options.num_samples < 1:
        raise InputError(f"--num_samples is {options.num_samples}; use 1 or more.")
    save_dir = output_folder(Path(options.save_dir))
    device = choose_device(options.device)
    model = _load(options, device)
    config = model.config
    schedule = Schedule(config.noise_schedule, config.diffusion_steps, options.timestep_respacing)
    authors_window(schedule, options.range_t)
    noise = SeededNoise(options.seed, device)
    rounds = -(-options.num_samples // options.batch_size)
    batches = itertools.islice(_batches(paths, options.batch_size, config), rounds)
    with progress("sampling", rounds * len(schedule)) as advance:
        for n, (references, labels) in enumerate(batches):
            x = sample(
                model,
                Reference(references, options.down_N),
                steps=options.timestep_respacing,
                class_labels=labels,
                clip_denoised=options.clip_denoised,
                compat="ilvr_adm",
                range_t=options.range_t,
                noise=noise,
                callback=lambda step, x: advance(),
            )
            for k, picture in enumerate(to_images(x)):
                save_png(picture, save_dir / f"{n * options.batch_size + k:05d}.png")
    print(f"{rounds * options.batch_size} pictures in {save_dir}")


def _load(options: argparse.Namespace, device: torch.device) -> ADM:
    """The network: what was typed and the file tell, then guided-diffusion's defaults."""
    typed = {name: value for name, value in vars(options).items() if name in MODEL_FLAGS}
    # On a CPU half precision is slower than fp32.
    half = bool(typed.get("use_fp16")) and device.type == "cuda"
    dtype = torch.float16 if half else None
    try:
        return load_adm(options.model_path, device=device, dtype=dtype, **typed)
    except MissingFlags:
        flags = MODEL_FLAGS | typed
        return load_adm(options.model_path, device=device, dtype=dtype, **flags)


def _reference_paths(folder: Path) -> list[Path]:
    """The authors' order: folder by folder, names sorted, folders entered where they stand."""
    if not folder.is_dir():
        raise InputError(f"--base_samples is {str(folder)!r}, which is not a folder.")
    found = _listed(folder)
    if not found:
        raise InputError(f"The folder {str(folder)!r} holds no .jpg, .jpeg, .png or .gif picture.")
    return found


def _listed(folder: Path) -> list[Path]:
    found: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if entry.suffix.lower() in IMAGE_SUFFIXES:
            found.append(entry)
        elif entry.is_dir():
            found += _listed(entry)
    return found


def _batches(
    paths: list[Path], size: int, config: ADMConfig
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Full batches over and over; what does not fill a batch is left out, as the authors do.

    A class-conditional network takes its labels from the file names: what stands before the
    first underscore, numbered in sorted order.
    """
    words = [path.name.split("_")[0] for path in paths]
    numbers = {word: number for number, word in enumerate(sorted(set(words)))}
    full = len(paths) // size * size
    while True:
        for start in range(0, full, size):
            chosen = range(start, start + size)
            images = [
                to_tensor(_centre_crop(read_image(paths[i]), config.image_size)) for i in chosen
            ]
            labels = torch.tensor([numbers[words[i]] for i in chosen])
            yield torch.cat(images), None if config.num_classes is None else labels


def _centre_crop(image: Image.Image, side: int) -> Image.Image:
    """guided-diffusion's preparation: halve while possible, then bicubic, then cut the middle."""
    while min(image.size) >= 2 * side:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = side / min(image.size)
    size = round(image.width * scale), round(image.height * scale)
    pixels = np.array(image.resize(size, Image.Resampling.BICUBIC))
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return Image.fromarray(pixels[top : top + side, left : left + side])
