"""ILVR Apply on videos: clips of any length, phi_{N,T}, weights of frames; and the bands."""

from __future__ import annotations

import logging
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

SCALE, N = 0.8, 4
VIDEO = (1, 4, 6, 16, 16)


def clip(frames: int, seed: int = 3) -> Tensor:
    """A latent as a VAE gives it."""
    import mixture

    return torch.stack([mixture.draw(seed + i)[0] for i in range(frames)], 1)[None] / SCALE


def sampled(pack: ModuleType, reference: Tensor | None, shape: Any = VIDEO, **settings: Any) -> Any:
    import graph
    import mixture

    model = mixture.mixture("flow", shape)
    if reference is not None:
        model = graph.applied(pack, model, reference, kernel="spectral", **settings)
    return mixture.sampled(model, shape=shape)


def distance(phi: Any, out: Tensor, wanted: Tensor) -> float:
    return float((phi(out) - phi(wanted)).norm() / phi(wanted).norm())


@pytest.mark.parametrize("frames", [1, 2, 5, 6, 13])
@pytest.mark.parametrize("space", ["state", "prediction"])
def test_a_clip_of_any_length_is_stretched_over_the_time(
    pack: ModuleType, frames: int, space: str
) -> None:
    core = pack.ilvr_latent
    reference = clip(frames)
    wanted = core.guides.frames.with_frames(reference, VIDEO[2])
    out = sampled(pack, reference, space=space)
    assert distance(core.LowPass(N, "spectral"), out, wanted) < 1e-3
    # The ends are key frames.
    if frames <= VIDEO[2]:
        assert distance(core.LowPass(N, "spectral"), out[:, :, -1], reference[:, :, -1]) < 1e-3


def test_held_a_clip_begins_with_the_video(pack: ModuleType) -> None:
    """What goes on from another clip: its last frames come first, and the rest is free."""
    phi, reference = pack.ilvr_latent.LowPass(N, "spectral"), clip(3)
    settings = {"frames_fit": "hold", "frame_weights": "0:1, 0.4:1, 0.6:0"}
    out = sampled(pack, reference, **settings)
    assert distance(phi, out[:, :, :3], reference) < 1e-3
    assert distance(phi, out[:, :, 3:], reference) > 0.1


def test_frames_factor_holds_the_slow_course_and_leaves_the_rest(pack: ModuleType) -> None:
    core, reference = pack.ilvr_latent, clip(6)
    out, plain = sampled(pack, reference, frames_factor=3.0), sampled(pack, None)
    slow, fast = core.LowPass(N, "spectral", 3), core.guides.bands.FastBand(N, "spectral", 3)
    assert distance(slow, out, reference) < 1e-3
    assert distance(fast, out, reference) > 0.5
    # As lively as without it.
    assert fast(out).std() / fast(plain).std() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("reference_frames", [None, 6])
def test_the_fast_band_of_the_reference_takes_the_place_of_the_flicker(
    pack: ModuleType, reference_frames: int | None
) -> None:
    core = pack.ilvr_latent
    reference = clip(1)[:, :, 0] if reference_frames is None else clip(reference_frames)
    out = sampled(pack, reference, frames_factor=3.0, band="fast")
    plain = sampled(pack, None)
    slow, fast = core.LowPass(N, "spectral", 3), core.guides.bands.FastBand(N, "spectral", 3)
    if reference_frames is None:
        assert fast(out).square().mean() < 1e-5 * fast(plain).square().mean()
    else:
        assert distance(fast, out, reference) < 1e-3
    still = reference.unsqueeze(2) if reference.ndim == 4 else reference
    assert distance(slow, out, still.expand(VIDEO)) > 0.1


def test_the_fine_band_frees_the_layout(pack: ModuleType) -> None:
    core, reference = pack.ilvr_latent, clip(1)[:, :, 0]
    shape = (1, 4, 16, 16)
    out, plain = (sampled(pack, r, shape, band="fine") for r in (reference, None))
    phi, fine = core.LowPass(N, "spectral"), core.guides.bands.FineBand(N, "spectral")
    assert distance(fine, out, reference) < 1e-3
    assert distance(phi, out, reference) > 0.1
    assert phi(out).std() / phi(plain).std() == pytest.approx(1, abs=0.3)


def test_coarse_of_one_and_fine_of_another_do_not_compete(pack: ModuleType) -> None:
    import graph
    import mixture

    core, a, b = pack.ilvr_latent, clip(1, 3)[:, :, 0], clip(1, 4)[:, :, 0]
    model = mixture.mixture("eps")
    for band, one in (("fine", b), ("coarse", a)):
        model = graph.applied(pack, model, one, kernel="spectral", band=band)
    out, phi = mixture.sampled(model), core.LowPass(N, "spectral")
    torch.testing.assert_close(out, phi(a) + b - phi(b), rtol=0, atol=1e-3)


def test_weights_of_frames_let_go_in_time(pack: ModuleType) -> None:
    core, reference = pack.ilvr_latent, clip(1)
    out = sampled(pack, reference, frame_weights="0:1, 0.4:1, 0.6:0")
    phi = core.LowPass(N, "spectral")
    far = [distance(phi, out[:, :, i], reference[:, :, 0]) for i in range(6)]
    assert max(far[:3]) < 1e-3
    assert min(far[3:]) > 0.1


@pytest.mark.parametrize("band", ["coarse", "fine", "fast"])
def test_weight_zero_is_no_node(pack: ModuleType, band: str) -> None:
    out = sampled(pack, clip(4), band=band, frames_factor=2.0, weight=0.0)
    assert torch.equal(out, sampled(pack, None))


def test_the_defaults_are_the_node_as_it_was(pack: ModuleType) -> None:
    same = {"band": "coarse", "frames_factor": 1.0, "frame_weights": " "}
    assert torch.equal(sampled(pack, clip(6), **same), sampled(pack, clip(6)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"band": "high"}, "band is 'high'"),
        ({"band": "fast"}, "use a frames_factor above 1"),
        ({"band": "fine", "factor": 1}, "fine band is empty"),
        ({"frame_weights": "all"}, "'all' cannot be read"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    pack: ModuleType, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(pack.ilvr_latent.InputError, match=said):
        sampled(pack, clip(1), **settings)


@pytest.mark.parametrize("settings", [{"frames_factor": 2.0}, {"frame_weights": "0:1"}])
def test_one_picture_has_no_time(pack: ModuleType, settings: dict[str, Any]) -> None:
    with pytest.raises(pack.ilvr_latent.InputError, match="what is sampled is one picture"):
        sampled(pack, clip(1), (1, 4, 16, 16), **settings)


@pytest.mark.parametrize("band", ["coarse", "fast"])
def test_on_a_network_of_the_host(pack: ModuleType, host: ModuleType, band: str) -> None:
    """Wan, tiny and random, 5 latent frames; the reference has 3."""
    import graph
    import mixture
    import tiny

    shape = (1, 16, 5, 16, 16)
    model, core = tiny.network("wan"), pack.ilvr_latent
    generator = torch.Generator().manual_seed(0)
    reference = torch.randn((1, 16, 3, 16, 16), generator=generator)
    settings = {"kernel": "spectral", "band": band, "frames_factor": 2.5}
    out = mixture.sampled(
        graph.applied(pack, model, reference, **settings), steps=6, shape=shape,
        cond=tiny.prompt(1, "wan"), negative=tiny.prompt(2, "wan"), cfg=3.0, scheduler="simple",
    )  # fmt: skip
    phi = core.guides.bands.BANDS[band](N, "spectral", 2.5)
    wanted = core.guides.frames.with_frames(reference, 5)
    assert distance(phi, out, wanted) < 1e-3
    assert (out - phi(out)).std() > 0.01


BATCH = (6, 4, 16, 16)


def frames_of(latent: Tensor) -> Tensor:
    """A batch as a clip, (1, C, T, H, W)."""
    return latent.transpose(0, 1)[None]


@pytest.mark.parametrize("form", ["eps", "flow"])
@pytest.mark.parametrize("space", ["state", "prediction"])
@pytest.mark.parametrize("band", ["coarse", "fast", "fine"])
@pytest.mark.parametrize("given", ["batch", "video", "still"])
def test_a_batch_is_a_clip(
    pack: ModuleType,
    caplog: pytest.LogCaptureFixture,
    form: str,
    space: str,
    band: str,
    given: str,
) -> None:
    """As AnimateDiff and SVD have it; four frames of the reference are laid over six."""
    import graph
    import mixture

    core, video = pack.ilvr_latent, clip(1 if given == "still" else 4)
    reference = video if given == "video" else video[0].transpose(0, 1)
    model = graph.applied(
        pack, mixture.mixture(form, BATCH), reference, kernel="spectral", space=space, band=band,
        frames_factor=3.0,
    )  # fmt: skip
    caplog.set_level(logging.INFO)
    out = frames_of(mixture.sampled(model, shape=BATCH))
    assert "references for" not in caplog.text
    phi = core.guides.bands.BANDS[band](N, "spectral", 3)
    wanted = core.guides.frames.with_frames(video, BATCH[0])
    away = float((phi(out) - phi(wanted)).norm() / wanted.norm())
    assert away < 1e-3
    assert float((out - phi(out) - wanted + phi(wanted)).norm() / wanted.norm()) > 0.1


def test_frames_of_a_batch_have_weights_and_masks(
    pack: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    """Masks are laid over the time, as those of a video are: two are a fade."""
    import graph
    import mixture

    core, reference = pack.ilvr_latent, clip(1)[:, :, 0]
    caplog.set_level(logging.INFO)
    settings = {"kernel": "spectral", "frame_weights": "0:1, 0.4:1, 0.6:0"}
    model = graph.applied(pack, mixture.mixture("eps", BATCH), reference, **settings)
    out, phi = mixture.sampled(model, shape=BATCH), core.LowPass(N, "spectral")
    far = [distance(phi, one, reference[0]) for one in out]
    assert max(far[:3]) < 1e-3
    assert min(far[3:]) > 0.1
    assert "The 6 pictures of the batch are the frames of a clip." in caplog.text
    masks = torch.stack([torch.ones(16, 16), torch.zeros(16, 16)])
    # Neither the schedule nor the noise is asked.
    run = pack.nodes.run.HostRun(None, BATCH, torch.device("cpu"), None)
    assert run.area_of_frames(masks).shape == (6, 1, 16, 16)
    fade = run.area_of_frames(masks)[:, 0, 0, 0]
    assert bool((fade.diff() <= 0).all())
    assert (fade[0], fade[-1]) == (1, 0)
    assert run.area(masks)[:, 0, 0, 0].tolist() == [1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("rows", [[2, 3, 4], [1, 0, 2]])
def test_a_part_of_a_batch_is_no_clip(pack: ModuleType, rows: list[int]) -> None:
    """Latent From Batch, which the noise tells: where in the clip its frames are is not known."""
    import graph
    import mixture

    import nodes

    latent = {"samples": torch.zeros(3, *BATCH[1:]), "batch_index": rows}
    model = graph.applied(
        pack, mixture.mixture("eps"), clip(1)[:, :, 0], band="fast", frames_factor=3.0
    )
    cond = mixture.conditioning()
    with pytest.raises(pack.ilvr_latent.InputError, match="is a part of a batch"):
        nodes.common_ksampler(model, 11, 4, 1.0, "euler", "normal", cond, cond, latent)
    # The same noise in all frames ("Latent Batch Seed Behavior") is a whole batch.
    latent["batch_index"] = [0, 0, 0]
    nodes.common_ksampler(model, 11, 4, 1.0, "euler", "normal", cond, cond, latent)


def test_windows_of_other_packs_are_below(pack: ModuleType) -> None:
    """The network is shown three frames at a time, as AnimateDiff is, and the guide all of them."""
    import comfy.samplers
    import graph
    import mixture

    core, reference = pack.ilvr_latent, clip(6)[0].transpose(0, 1)
    seen: list[int] = []

    def in_windows(args: dict[str, Any]) -> list[Tensor]:
        made: list[list[Tensor]] = []
        for at in (slice(0, 3), slice(3, 6)):
            x, sigma = args["input"][at], args["sigma"][at]
            seen.append(len(x))
            made.append(
                comfy.samplers.calc_cond_batch(
                    args["model"], args["conds"], x, sigma, args["model_options"]
                )
            )
        return [torch.cat(of_cond) for of_cond in zip(*made, strict=True)]

    model = mixture.mixture("eps", BATCH)
    model.model_options["sampler_calc_cond_batch_function"] = in_windows
    model = graph.applied(pack, model, reference, kernel="spectral", frames_factor=3.0)
    out = frames_of(mixture.sampled(model, shape=BATCH, cfg=2.0))
    assert set(seen) == {3}
    assert distance(core.LowPass(N, "spectral", 3), out, frames_of(reference)) < 1e-3
