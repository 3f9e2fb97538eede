"""phi_{N,T}, the bands that it makes, and clips of any length, as linear maps."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from ilvr_latent import InputError, LowPass, Reference, WeightSchedule, match
from ilvr_latent.guides.bands import BANDS, Band, FastBand, FineBand
from ilvr_latent.guides.frames import weights_of_frames, with_frames
from ilvr_latent.guides.lowpass import Kernel, low_pass_matrices

KERNELS: tuple[Kernel, ...] = get_args(Kernel)
PROJECTORS: tuple[Kernel, ...] = ("box", "spectral")

kernels = st.sampled_from(KERNELS)
projectors = st.sampled_from(PROJECTORS)
bands = st.sampled_from(get_args(Band))
frames = st.integers(1, 9)
factors = st.floats(1, 20)
above_one = st.floats(1.01, 20)


def clip(t: int = 6, *, h: int = 7, w: int = 10, seed: int = 0) -> Tensor:
    return torch.randn(2, 3, t, h, w, generator=torch.Generator().manual_seed(seed)).double()


def close(a: Tensor, b: Tensor, tolerance: float = 1e-10) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance).all())


@given(frames, factors, above_one, kernels, st.floats(-3, 3))
def test_it_is_linear(t: int, n: float, period: float, kernel: Kernel, scale: float) -> None:
    phi, x, y = LowPass(n, kernel, period), clip(t), clip(t, seed=1)
    assert close(phi(x + scale * y), phi(x) + scale * phi(y))


@given(frames, factors, above_one, kernels, st.floats(-1, 1))
def test_it_keeps_constants(t: int, n: float, period: float, kernel: Kernel, value: float) -> None:
    x = torch.full_like(clip(t), value)
    assert close(LowPass(n, kernel, period)(x), x)


@given(frames, factors, above_one, kernels)
def test_it_is_separable(t: int, n: float, period: float, kernel: Kernel) -> None:
    """Each frame by phi_N, then each place by the matrices of one axis."""
    x = clip(t)
    down, up = low_pass_matrices(t, period, kernel)
    of_frames = LowPass(n, kernel)(x)
    wanted = torch.einsum("ij,bcjhw->bcihw", up @ down, of_frames)
    assert close(LowPass(n, kernel, period)(x), wanted)


@given(frames, factors, factors, kernels)
def test_what_stands_still_is_a_picture(t: int, n: float, period: float, kernel: Kernel) -> None:
    picture = clip(1)
    still = picture.expand(-1, -1, t, -1, -1)
    wanted = LowPass(n, kernel)(picture).expand_as(still)
    assert close(LowPass(n, kernel, period)(still), wanted)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_one_frame_is_phi_n_bit_for_bit(kernel: Kernel, dtype: torch.dtype) -> None:
    x, d = clip().to(dtype), clip(seed=1).to(dtype)
    for n in (1.0, 3.3, 40.0):
        assert torch.equal(LowPass(n, kernel, 1.0)(x), LowPass(n, kernel)(x))
    assert torch.equal(
        match(x, d, LowPass(4, kernel, 1), 0.7), match(x, d, LowPass(4, kernel), 0.7)
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_half_precision_is_rounded_once(kernel: Kernel) -> None:
    x = clip().half()
    for n in (1.0, 4.0):
        phi = LowPass(n, kernel, 3)
        assert torch.equal(phi(x), phi(x.float()).half())


def test_a_larger_factor_in_time_keeps_less() -> None:
    x = clip(16)
    energy = [float(LowPass(2, "spectral", t)(x).square().mean()) for t in (1, 2, 4, 8, 16)]
    assert energy == sorted(energy, reverse=True)
    assert energy[-1] < energy[0] / 8


@given(factors, above_one, above_one, kernels)
def test_coarse_and_fine_are_the_whole(n: float, t: float, wide: float, kernel: Kernel) -> None:
    x = clip()
    assert close(LowPass(n, kernel, t)(x) + FineBand(n, kernel, t)(x), x)
    of_frames = LowPass(wide, kernel)(x)
    assert close(LowPass(wide, kernel, t)(x) + FastBand(wide, kernel, t)(x), of_frames)


@given(above_one, above_one, bands, projectors)
def test_after_a_match_the_band_is_that_of_the_reference_and_the_rest_is_not_touched(
    n: float, t: float, band: Band, kernel: Kernel
) -> None:
    phi, x, y = BANDS[band](n, kernel, t), clip(), clip(seed=1)
    out = match(x, y, phi)
    assert close(phi(out), phi(y))
    assert close(out - phi(out), x - phi(x))


@given(above_one, above_one, kernels)
def test_the_fast_band_of_a_still_picture_is_nothing(n: float, t: float, kernel: Kernel) -> None:
    x = clip(1).expand(-1, -1, 6, -1, -1)
    assert close(FastBand(n, kernel, t)(x), torch.zeros_like(x))


@given(st.integers(2, 12), frames)
def test_a_clip_of_another_length_keeps_its_ends(t: int, wanted: int) -> None:
    x = clip(t)
    out = with_frames(x, wanted)
    assert out.shape[2] == wanted
    if wanted >= t:
        assert close(out[:, :, 0], x[:, :, 0])
        assert close(out[:, :, -1], x[:, :, -1])
    assert close(with_frames(torch.ones_like(x), wanted), torch.ones_like(out))
    assume(wanted > 1)
    ramp = torch.linspace(0, 1, t).double().view(1, 1, -1, 1, 1)
    stretched = with_frames(ramp, wanted).flatten()
    if wanted >= t:
        assert close(stretched, torch.linspace(0, 1, wanted).double(), 1e-6)
    assert bool((stretched.diff() > 0).all())


def test_a_picture_stands_still_and_the_same_length_is_the_clip_itself() -> None:
    x = clip(5)
    assert with_frames(x, 5) is x
    assert close(with_frames(x[:, :, :1], 4), x[:, :, :1].expand(-1, -1, 4, -1, -1))


@pytest.mark.parametrize("wanted", [2, 5, 9])
def test_held_it_begins_frame_for_frame_and_then_stands(wanted: int) -> None:
    x = clip(5)
    out = with_frames(x, wanted, "hold")
    assert torch.equal(out[:, :, :5], x[:, :, :wanted])
    assert all(torch.equal(one, x[:, :, 4]) for one in out[:, :, 5:].unbind(2))


def test_half_precision_clips_are_stretched_in_fp32() -> None:
    x = clip(5).half()
    assert torch.equal(with_frames(x, 8), with_frames(x.float(), 8).half())


def test_what_flickers_is_averaged_where_frames_are_left_out() -> None:
    flicker = torch.tensor([1.0, -1.0]).repeat(17).view(1, 1, -1, 1, 1)
    assert with_frames(flicker, 5)[:, :, 1:-1].abs().max() < 0.1


def test_weights_of_frames_are_points_in_time() -> None:
    weights = weights_of_frames(WeightSchedule(((0, 1), (0.5, 0))), 5)
    assert weights.flatten().tolist() == [1, 0.5, 0, 0, 0]
    assert weights_of_frames(WeightSchedule(((0, 0.25), (1, 1))), 1).flatten().tolist() == [0.25]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"frames_factor": 0.5}, r"frames_factor T is 0\.5"),
        ({"band": "high"}, r"band is 'high'.*'coarse', 'fine', 'fast'"),
        ({"frame_weights": WeightSchedule(((0, 0.0),))}, r"weights of frames are all 0"),
        ({"frames_fit": "loop"}, r"frames_fit is 'loop'.*'stretch', 'hold'"),
        ({"band": "fast"}, r"changes within frames_factor frames, which is 1"),
        ({"band": "fine", "factor": 1}, r"fine band is empty"),
    ],
)
def test_an_empty_band_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Reference(clip().float(), **{"factor": 4, **settings})  # type: ignore[arg-type]


def test_a_picture_has_no_time() -> None:
    weights = WeightSchedule(((0, 1), (1, 0)))
    for settings in ({"frames_factor": 2.0}, {"frame_weights": weights}):
        reference = Reference(torch.zeros(1, 3, 8, 8), 4, **settings)
        with pytest.raises(InputError, match=r"sampled is one picture; sample the frames of a"):
            reference.lowpass((1, 3, 8, 8))
        assert reference.lowpass((1, 3, 5, 8, 8)).frames_factor == reference.frames_factor
