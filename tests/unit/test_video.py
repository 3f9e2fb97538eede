"""Videos in the library: what the bands hold, with the repository's samplers and an exact network.

The clips and the network are those of the benchmark, whose figures stand in docs/video.md.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.video.clips import FRAMES, AlikeNoise, GaussianClips, Scene, deviations, flicker
from ilvr_latent import ILVR, LowPass, Reference, SeededNoise, WeightSchedule, sample_with

SCENE = Scene((0.25, 0.5))
CLIP = SCENE.clip()
STILL = SCENE.background().float()[None]


def sampled(guide: ILVR | None, in_time: float = 1.0, seed: int = 0, alike: float = 0.0) -> Tensor:
    network = GaussianClips(CLIP, deviations(32, in_time))
    noise = AlikeNoise(seed, alike)
    return sample_with(
        network, guide, shape=tuple(CLIP.shape), steps=12, clip_denoised=False, noise=noise
    )


@pytest.mark.parametrize("alike", [0.0, 0.5])
@pytest.mark.parametrize("reference", [STILL, CLIP], ids=["still", "clip"])
def test_flicker_falls_by_four_fifths_and_the_motion_is_no_worse(
    reference: Tensor, alike: float
) -> None:
    stock = sampled(None, alike=alike)
    held = sampled(ILVR(Reference(reference, 4, frames_factor=4, band="fast")), alike=alike)
    assert flicker(held) < 0.2 * flicker(stock)
    assert SCENE.motion_error(held) <= SCENE.motion_error(stock)


def test_a_still_picture_holds_back_what_moves_fast() -> None:
    """The limit: further than N cells in T frames, the motion itself is in the fast band."""
    scene = Scene((1.0, 2.0))
    network = GaussianClips(scene.clip(), deviations(32, 1.0))
    errors = []
    for reference in (STILL, scene.clip()):
        guide = ILVR(Reference(reference, 4, frames_factor=4, band="fast"))
        clip = sample_with(
            network, guide, shape=tuple(CLIP.shape), steps=12, clip_denoised=False,
            noise=SeededNoise(0),
        )  # fmt: skip
        errors.append(scene.motion_error(clip))
    assert errors[0] > 3 * errors[1]


def test_the_slow_course_follows_half_the_frames() -> None:
    guide = ILVR(Reference(CLIP[:, :, ::2], 4, frames_factor=4))
    slow = LowPass(4, "spectral", 4)
    away = [float(slow(x - CLIP).std()) for x in (sampled(guide), sampled(None))]
    assert away[0] < 0.25 * away[1]


def test_a_clip_goes_on_from_the_end_of_another() -> None:
    """Its last frames come first; then the colours of the last one stay."""
    before = sampled(None, in_time=0.03, seed=1)
    end = before[:, :, :8]
    last, after = 7 / (FRAMES - 1), 8 / (FRAMES - 1)
    first, rest = ((0.0, 1.0), (last, 1.0), (after, 0.0)), ((last, 0.0), (after, 1.0))
    held = sampled(
        ILVR(
            [
                Reference(end, 2, frames_fit="hold", frame_weights=WeightSchedule(first)),
                Reference(end, 16, frames_fit="hold", frame_weights=WeightSchedule(rest)),
            ]
        ),
        in_time=0.03,
    )
    stock = sampled(None, in_time=0.03)
    phi = LowPass(8)
    jump, plain = (
        float((phi(x[:, :, 8]) - phi(end[:, :, -1])).abs().mean()) for x in (held, stock)
    )
    assert jump < 0.1 * plain


def test_a_reference_without_time_is_what_it_was() -> None:
    """One frame's T and no weights of frames, bit for bit."""
    own = Reference(CLIP, 4, frames_factor=1, frame_weights=None, band="coarse")
    assert torch.equal(sampled(ILVR(own)), sampled(ILVR(Reference(CLIP, 4))))
