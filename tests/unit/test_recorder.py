"""A recorder changes nothing, says what happened, and reads nothing before the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import ILVR, LowPass, Recorder, Recording, Reference, SeededNoise, Window
from ilvr_latent.diffusion.loop import sample_with
from ilvr_latent.guides.spectrum import cut, frequencies, radial_power_spectrum

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

SHAPE = (2, 3, 16, 16)
STEPS = 8


@pytest.fixture
def recorded(model: MixtureDenoiser, y_0: Tensor) -> Callable[..., tuple[Tensor, Recording]]:
    """A sample, and what was recorded; the same without a recorder is the same."""

    def run(space: Any = "state", **settings: Any) -> tuple[Tensor, Recording]:
        reference = Reference(y_0, 4, **settings)
        ilvr = ILVR(reference, space=space)
        recorder = Recorder(ilvr, reference)
        guides = (ilvr, recorder)
        plain, out = (
            sample_with(model, guide, shape=SHAPE, steps=STEPS, noise=SeededNoise(0))
            for guide in guides
        )
        assert torch.equal(plain, out)
        assert recorder.recording is not None
        return out, recorder.recording

    return run


@pytest.mark.parametrize(
    ("space", "window", "matched"),
    [
        ("state", Window(), range(1, STEPS + 1)),
        ("state", Window.steps(2, 4), range(3, 6)),
        ("prediction", Window(), range(STEPS + 1)),
        ("prediction", Window.steps(0, 3), range(4)),
    ],
)
def test_the_matched_places_are_those_of_the_window(
    recorded: Any, space: str, window: Window, matched: range
) -> None:
    """The state that step k makes is at place k + 1, its estimate of the picture at place k."""
    _, recording = recorded(space, window=window)
    assert recording.matched == tuple(matched)
    assert recording.steps == STEPS
    assert sorted(recording.residuals) == list(range(STEPS + 1))


def test_without_weight_nothing_is_matched(recorded: Any) -> None:
    _, off = recorded(weight=0.0)
    _, on = recorded()
    assert off.matched == ()
    assert off.residuals[0] == on.residuals[0]
    assert on.residuals[STEPS] < 0.1 < off.residuals[STEPS]
    assert off.unmatched == off.result
    assert on.reference == off.reference


def test_the_last_residual_is_that_of_the_sample(recorded: Any, y_0: Tensor) -> None:
    out, recording = recorded(kernel="box", window=Window(0, 0.6))
    phi = LowPass(4, "box")
    wanted = torch.stack([(phi(x) - phi(y_0[0])).norm() / phi(y_0[0]).norm() for x in out]).mean()
    assert recording.residuals[STEPS] == pytest.approx(float(wanted), rel=1e-5)
    _, to_the_end = recorded(kernel="box")
    assert to_the_end.residuals[STEPS] < 1e-5


def test_a_mask_is_where_is_compared(recorded: Any) -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8] = 1
    _, recording = recorded(kernel="box", mask=mask)
    assert recording.residuals[STEPS] < 1e-5


def test_the_spectra_are_those_of_reference_and_sample(recorded: Any, y_0: Tensor) -> None:
    out, recording = recorded(kernel="spectral")
    assert torch.allclose(torch.tensor(recording.result), radial_power_spectrum(out))
    assert torch.allclose(torch.tensor(recording.reference), radial_power_spectrum(y_0))
    below = [k for k, f in enumerate(recording.frequencies) if 0 < f < 0.7 * cut(4)]
    assert below
    for k in below:
        assert recording.result[k] == pytest.approx(recording.reference[k], rel=1e-3)


def test_nothing_is_read_during_the_run(y_0: Tensor) -> None:
    """On a device without data reading is an error."""
    from ilvr_latent.diffusion import GuideRun, Schedule
    from ilvr_latent.guides.recorder import Compared, RecordedRun

    meta = torch.empty(SHAPE, device="meta")
    run = RecordedRun(GuideRun(), Compared(meta, LowPass(4)), STEPS, lambda recording, x: None)
    for step in Schedule("linear", 1000, STEPS).steps:
        assert run.state(meta, step) is meta
        assert run.prediction(meta, meta, step) is meta


def test_white_noise_has_the_same_power_everywhere() -> None:
    noise = 3 * torch.randn(64, 4, 24, 32, generator=torch.Generator().manual_seed(0))
    power = radial_power_spectrum(noise)
    assert power.shape == (24,)
    assert torch.allclose(power[1:], torch.tensor(9.0), rtol=0.1)


def test_a_wave_is_on_its_ring_and_a_constant_on_none() -> None:
    side, ring = 32, 6
    pixel = torch.arange(side) + 0.5
    wave = torch.cos(torch.pi * ring * pixel / side).expand(1, 1, side, side)
    power = radial_power_spectrum(wave)
    assert int(power.argmax()) == ring
    assert float(power[ring]) > 100 * float(power.sum() - power[ring])
    assert frequencies(side)[ring] == ring / (2 * side)
    assert float(radial_power_spectrum(torch.ones(1, 1, side, side))[1:].max()) < 1e-10
