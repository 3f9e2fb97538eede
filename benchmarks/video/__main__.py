"""Flicker, motion and joins, stock and held, as tables and a picture.

    python -m benchmarks.video [--picture FILE]

Needs scikit-image, for the distance of colours (CIEDE2000).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

from ilvr_latent import ILVR, LowPass, Reference, SeededNoise, WeightSchedule, sample_with
from ilvr_latent.diffusion.noise import NoiseSource
from ilvr_latent.pictures.images import to_images
from ilvr_latent.pictures.sheet import Column, contact_sheet

from .clips import FRAMES, SIDE, AlikeNoise, GaussianClips, Scene, deviations, flicker
from .codec import Codec, Pixels, TinyVAE

SEEDS, CHUNKS, OVERLAP = (0, 1, 2), 6, 8
SPEEDS = (0.0, 0.25, 0.5, 1.0, 1.5)
Settings = dict[str, Any]
"""Of :class:`Reference`."""


def sampled(network: GaussianClips, guide: ILVR | None, noise: NoiseSource) -> Tensor:
    """A clip, by DDPM of 50 steps."""
    shape = tuple(network.mean.shape)
    return sample_with(network, guide, shape=shape, steps=50, clip_denoised=False, noise=noise)


def held_ways(scene: Scene, codec: Codec) -> dict[str, tuple[Settings | None, float]]:
    """What is compared: a reference's settings, and how alike the noise of frames is."""
    still, clip = codec.encoded(scene.background().float()[None, :, None]), scene.clip()
    whole, half = codec.encoded(clip), codec.encoded(clip[:, :, ::2])
    n = codec.factor
    fast: Settings = {"factor": n, "frames_factor": 4, "band": "fast"}
    return {
        "stock": (None, 0.0),
        "stock, noise alike (0.9)": (None, 0.9),
        "fast band of a still picture": ({"image": still, **fast}, 0.0),
        "fast band of a clip": ({"image": whole, **fast}, 0.0),
        "fast band of half its frames": ({"image": half, **fast}, 0.0),
        "coarse, T = 4, half its frames": ({"image": half, "factor": n, "frames_factor": 4}, 0.0),
        "coarse, T = 1, a clip": ({"image": whole, "factor": n}, 0.0),
    }


def stillness(codec: Codec) -> Iterable[str]:
    """Rows of the first table: flicker and the motion's error at several speeds."""
    measured: dict[str, list[str]] = {}
    for speed in SPEEDS:
        scene = Scene((speed, 2 * speed))
        mean = codec.encoded(scene.clip())
        network = GaussianClips(mean, deviations(mean.shape[-1], 1.0, codec.spread))
        for name, (settings, alike) in held_ways(scene, codec).items():
            guide = None if settings is None else ILVR(Reference(**settings))
            clips = [codec.decoded(sampled(network, guide, AlikeNoise(s, alike))) for s in SEEDS]
            cells = measured.setdefault(name, [])
            if speed == 0.5:
                cells.append(f"{_mean(map(flicker, clips)):.4f}")
            cells.append(f"{_mean(map(scene.motion_error, clips)):.2f}")
    for name, cells in measured.items():
        yield f"| {name} | {cells.pop(2)} | {' | '.join(cells)} |"


def colour_distance(a: Tensor, b: Tensor, factor: float) -> float:
    """Mean CIEDE2000 of two frames (3, H, W) in [-1, 1], of what is larger than ``factor``."""
    phi = LowPass(factor)
    labs = [rgb2lab((phi(x).clamp(-1, 1) / 2 + 0.5).movedim(0, -1).numpy()) for x in (a, b)]
    return float(deltaE_ciede2000(*labs).mean())


def going_on(n: float, wide: float) -> Callable[[Tensor], ILVR]:
    """What holds a clip to the one before: its last frames, then the colours of the last one."""
    last, next_one = (OVERLAP - 1) / (FRAMES - 1), OVERLAP / (FRAMES - 1)
    first, rest = ((0.0, 1.0), (last, 1.0), (next_one, 0.0)), ((last, 0.0), (next_one, 1.0))

    def guide(end: Tensor) -> ILVR:
        return ILVR(
            [
                Reference(end, n, frames_fit="hold", frame_weights=WeightSchedule(first)),
                Reference(end, wide, frames_fit="hold", frame_weights=WeightSchedule(rest)),
            ]
        )

    return guide


def continued(codec: Codec, guide: Callable[[Tensor], ILVR] | None) -> list[str]:
    """One row of the second table: a film of several clips, each of which goes on from the last."""
    scene = Scene()
    latents: list[Tensor] = []
    joins, within, drift, motion = [], [], [], []
    for i in range(CHUNKS):
        first = i * (FRAMES - OVERLAP)
        mean = codec.encoded(scene.clip(first))
        network = GaussianClips(mean, deviations(mean.shape[-1], 0.03, codec.spread))
        held = guide(latents[-1][:, :, -OVERLAP:]) if guide is not None and latents else None
        latents.append(sampled(network, held, SeededNoise(100 * i)))
        if i == 0:
            begin = before = codec.decoded(latents[0])[0]
            continue
        new = codec.decoded(latents[-1])[0][:, OVERLAP:]
        joins.append(colour_distance(before[:, -1], new[:, 0], 8))
        pairs = zip(new.unbind(1), new.unbind(1)[1:], strict=False)
        within += [colour_distance(a, b, 8) for a, b in pairs]
        drift.append(colour_distance(begin.mean(1), new.mean(1), SIDE))
        motion.append(scene.motion_error(new[None], first + OVERLAP))
        before = new
    numbers = (_mean(joins), max(joins), _mean(within), drift[-1], _mean(motion))
    return [f"{number:.2f}" for number in numbers]


def _mean(numbers: Iterable[float]) -> float:
    given = list(numbers)
    return sum(given) / len(given)


def picture(path: Path) -> None:
    """Frames, and beside them a row of each frame under the next: flicker is stripes there."""
    scene, codec, shown = Scene((0.0, 1.0)), Pixels(), (0, 1, 2, 3, 12)
    network = GaussianClips(scene.clip(), deviations(SIDE, 1.0))
    ways = held_ways(scene, codec)
    rows, labels = [_shown(scene.clip(), shown)], ["as it should be"]
    for name in list(ways)[:4]:
        settings, alike = ways[name]
        guide = None if settings is None else ILVR(Reference(**settings))
        rows.append(_shown(sampled(network, guide, AlikeNoise(0, alike)), shown))
        labels.append(name)
    columns = [*[Column(f"frame {i + 1}") for i in shown], Column("a row over time", gap=20)]
    contact_sheet(rows, columns, row_labels=labels, cell=96).save(path)


def _shown(clip: Tensor, frames: Sequence[int]) -> list[Any]:
    row = clip.shape[-2] // 4
    over_time = clip[:, :, :, row].repeat_interleave(2, 2)
    return [*(to_images(clip[:, :, i])[0] for i in frames), to_images(over_time)[0]]


def main() -> None:
    """Print the tables, and draw the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.video", description=__doc__)
    parser.add_argument("--picture", type=Path, help="draw this PNG file, and no tables")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.picture:
        picture(options.picture)
        return
    for codec in (Pixels(), TinyVAE()):
        print(f"\n{codec.name}\n")
        print("\n".join(stillness(codec)), flush=True)
        for name, guide in (("stock", None), ("held", going_on(codec.factor / 2, codec.wide))):
            print(f"| {name} | {' | '.join(continued(codec, guide))} |", flush=True)


if __name__ == "__main__":
    main()
