"""A batch of pictures as a clip: the frames are rows, and what is held is what a video's would be.

The network and the clips are those of `test_video.py`; as a batch, it is shown the same numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.video.clips import Config, GaussianClips, Scene, deviations, flicker
from ilvr_latent import (
    ILVR,
    InputError,
    LowPass,
    Reference,
    SeededNoise,
    WeightSchedule,
    Window,
    sample_with,
)
from ilvr_latent.diffusion.guide import Run, begun
from ilvr_latent.diffusion.schedule import Schedule
from ilvr_latent.diffusion.side_by_side import SideBySide
from ilvr_latent.guides.bands import BANDS, Band
from ilvr_latent.guides.frames import as_batch, as_clip

FRAMES, SIDE, STEPS = 8, 16, 8
CLIP = Scene((0.25, 0.5)).clip(frames=FRAMES)[..., ::2, ::2]
NETWORK = GaussianClips(CLIP, deviations(SIDE, 1.0)[:FRAMES])
STILL = CLIP[:, :, 0]
MASKS = torch.linspace(0, 1, FRAMES).view(1, 1, -1, 1, 1) * torch.ones(SIDE, SIDE)
LET_GO = WeightSchedule(((0.0, 1.0), (0.4, 1.0), (0.8, 0.25)))


class OfFrames:
    """The network of videos, shown the frames as a batch."""

    config: Config = NETWORK.config
    device = NETWORK.device

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return as_batch(NETWORK(as_clip(x), t[:1]))


class NoiseOfFrames:
    """The numbers of a video, row by row."""

    def __init__(self, seed: int) -> None:
        self._noise = SeededNoise(seed)

    def initial(self, shape: Sequence[int]) -> Tensor:
        return as_batch(self._noise.initial(_of_video(shape)))

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        return as_batch(self._noise.step(i, _of_video(shape)))

    def reference(self, i: int, shape: Sequence[int]) -> Tensor:
        return as_batch(self._noise.reference(i, _of_video(shape)))


def _of_video(shape: Sequence[int]) -> tuple[int, ...]:
    return (1, shape[1], shape[0], *shape[2:])


def as_video(guide: ILVR, **settings: Any) -> Tensor:
    return sample_with(
        NETWORK, guide, shape=tuple(CLIP.shape), steps=STEPS, clip_denoised=False,
        noise=SeededNoise(0), **settings,
    )  # fmt: skip


def as_pictures(guide: ILVR | None, **settings: Any) -> Tensor:
    return sample_with(
        OfFrames(), guide, shape=(FRAMES, *CLIP[0, :, 0].shape), steps=STEPS, clip_denoised=False,
        noise=NoiseOfFrames(0), **settings,
    )  # fmt: skip


def same(batch: Tensor, video: Tensor) -> None:
    torch.testing.assert_close(as_clip(batch), video, rtol=0, atol=1e-6)


def pair(image: Tensor, **settings: Any) -> tuple[Reference, Reference]:
    """A reference of the video, and the same of the batch, each as its own kind is given."""
    of_batch = as_batch(image) if image.ndim == 5 else image
    mask = settings.pop("mask", None)
    return (
        Reference(image, 4, mask=mask, **settings),
        Reference(of_batch, 4, mask=None if mask is None else as_batch(mask), **settings),
    )


@pytest.mark.parametrize("space", ["state", "prediction"])
@pytest.mark.parametrize(
    ("image", "settings"),
    [
        (STILL, {"frames_factor": 4, "band": "fast"}),
        (CLIP, {"frames_factor": 4, "band": "fast"}),
        (CLIP, {"frames_factor": 4}),
        (CLIP, {"frames_factor": 4, "band": "fine", "kernel": "spectral"}),
        (CLIP[:, :, ::3], {"frames_factor": 2.5}),
        (CLIP[:, :, :5], {"frames_factor": 3, "frames_fit": "hold", "mask": MASKS}),
        (CLIP[:, :, :2], {"frame_weights": LET_GO}),
        (CLIP, {"frames_factor": 4, "frame_weights": LET_GO, "window": Window(0, 0.7)}),
    ],
)
def test_the_frames_are_those_of_the_video(
    image: Tensor, settings: dict[str, Any], space: Any
) -> None:
    video, batch = pair(image, space=space, **settings)
    same(as_pictures(ILVR(batch)), as_video(ILVR(video)))


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "unipc"])
def test_with_any_sampler(sampler: Any) -> None:
    """Some go on from their last prediction, and are matched once more at the end."""
    video, batch = pair(CLIP, frames_factor=4, space="prediction")
    same(as_pictures(ILVR(batch), sampler=sampler), as_video(ILVR(video), sampler=sampler))


@pytest.mark.parametrize("merge", ["average", "min_norm"])
def test_references_are_merged_frame_by_frame(merge: Any) -> None:
    """With one that has nothing to do with time, too."""
    pairs = [
        pair(CLIP, frames_factor=4),
        pair(CLIP.flip(2), frames_factor=2, frame_weights=LET_GO),
        pair(CLIP.flip(-1)),
        pair(STILL, frames_factor=4, band="fast"),
    ]
    videos, batches = zip(*pairs, strict=True)
    same(as_pictures(ILVR(batches, merge=merge)), as_video(ILVR(videos, merge=merge)))


def test_a_clip_may_be_given_as_a_video() -> None:
    for_video = Reference(CLIP, 4, frames_factor=4)
    same(as_pictures(ILVR(for_video)), as_video(ILVR(for_video)))


def test_flicker_falls_by_four_fifths() -> None:
    held = as_pictures(ILVR(Reference(STILL, 4, frames_factor=4, band="fast")))
    assert flicker(as_clip(held)) < 0.2 * flicker(as_clip(as_pictures(None)))


@pytest.mark.parametrize("band", list(BANDS))
def test_the_filter_goes_along_the_batch(band: Band) -> None:
    x = torch.randn(7, 3, 16, 12, generator=torch.Generator().manual_seed(0)).double()
    for n in (1, 4):
        of_batch, of_video = BANDS[band](n, "cubic", 3, -4), BANDS[band](n, "cubic", 3)
        assert torch.allclose(of_batch(x), as_batch(of_video(as_clip(x))), rtol=0, atol=1e-12)
        added = of_batch.added(x, x.flip(0), 0.5)
        wanted = of_video.added(as_clip(x), as_clip(x.flip(0)), 0.5)
        assert torch.allclose(added, as_batch(wanted), rtol=0, atol=1e-12)


def test_without_time_a_batch_is_pictures() -> None:
    """T = 1 and no weights of frames: references are repeated in turn, not laid over the time."""
    shape = (4, 3, SIDE, SIDE)
    pictures = torch.randn(2, *shape[1:], generator=torch.Generator().manual_seed(0))
    run = _run(shape)
    y_0, area = Reference(pictures, 4, frames_fit="hold").placed(run)
    assert torch.equal(y_0, pictures.repeat(2, 1, 1, 1))
    assert area is None
    y_0, _ = Reference(pictures, 4, frames_factor=2).placed(run)
    times = torch.linspace(0, 1, 4).view(-1, 1, 1, 1)
    torch.testing.assert_close(y_0, torch.lerp(pictures[:1], pictures[1:], times))


def _run(shape: Sequence[int], **settings: Any) -> Run:
    schedule = Schedule("linear", 1000, 8)
    return Run(schedule, shape, torch.device("cpu"), SeededNoise(0), **settings)


def test_what_is_no_whole_clip_is_refused() -> None:
    batch, guide = (4, 3, SIDE, SIDE), ILVR(Reference(STILL, 4, frames_factor=2))
    with pytest.raises(InputError, match=r"but what is sampled is one picture; sample the frames"):
        guide.begin(_run((1, *batch[1:])))
    with pytest.raises(InputError, match=r"sampled is a part of a batch, or several videos"):
        guide.begin(_run(batch, is_whole_batch=False))
    with pytest.raises(InputError, match=r"There are 2 reference clips for a batch that is one"):
        ILVR(Reference(CLIP.repeat(2, 1, 1, 1, 1), 4, frames_factor=2)).begin(_run(batch))


def test_a_sampler_that_shows_some_frames_is_told(batch: int = 4) -> None:
    guide = ILVR(Reference(STILL, 4, frames_factor=2, space="prediction"))
    run = _run((batch, 3, SIDE, SIDE))
    own = begun(guide, run)
    for shown in (1, 2, 2 * batch):
        x = torch.zeros(shown, 3, SIDE, SIDE)
        with pytest.raises(InputError, match=rf"shows {shown} pictures .* clip of {batch} frames"):
            own.prediction(x, x, run.schedule.steps[0])


def test_it_is_said_of_the_run() -> None:
    lines: list[str] = []
    run = dataclasses.replace(_run((4, 3, SIDE, SIDE)), tell=lines.append)
    ILVR(Reference(STILL, 4, frames_factor=2)).begin(run)
    assert lines[0].endswith("The 4 pictures of the batch are the frames of a clip.")


def test_side_by_side_each_guide_has_a_clip_of_its_own() -> None:
    guide = ILVR(Reference(STILL, 4, frames_factor=4, band="fast"))
    shape = (FRAMES, 3, SIDE, SIDE)
    run = _run((2 * FRAMES, *shape[1:]))
    x = torch.randn(2 * FRAMES, *shape[1:], generator=torch.Generator().manual_seed(0))
    own = begun(SideBySide([(guide, FRAMES), (guide, FRAMES)]), run)
    alone = begun(guide, _run(shape))
    step = run.schedule.steps[-1]
    both = own.end(x)
    assert torch.equal(both[:FRAMES], alone.end(x[:FRAMES]))
    assert torch.equal(both[FRAMES:], alone.end(x[FRAMES:]))
    assert own.state(x, step).shape == x.shape
    fast = BANDS["fast"](4, "cubic", 4, -4)
    assert fast(both[:FRAMES]).square().mean() < 0.1 * fast(x[:FRAMES]).square().mean()


def test_a_filter_of_a_batch_needs_its_channels() -> None:
    with pytest.raises(InputError, match=r"shape \(T, C, H, W\)|T, C, H, W"):
        LowPass(4, "cubic", 2, -4)(torch.zeros(4, 8, 8))
