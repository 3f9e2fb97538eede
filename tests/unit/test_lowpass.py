"""phi_N as a linear map, and eq. 8 with it."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from ilvr_latent import InputError, LowPass, match
from ilvr_latent.guides.lowpass import Kernel, low_pass_matrices

KERNELS: tuple[Kernel, ...] = get_args(Kernel)
PROJECTORS: tuple[Kernel, ...] = ("box", "spectral")

kernels = st.sampled_from(KERNELS)
projectors = st.sampled_from(PROJECTORS)
sides = st.integers(1, 40)
factors = st.floats(1, 50) | st.integers(1, 50).map(float)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-10) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance).all())


@given(sides, sides, factors, kernels, st.floats(-3, 3))
def test_it_is_linear(h: int, w: int, factor: float, kernel: Kernel, scale: float) -> None:
    phi, x, y = LowPass(factor, kernel), noise(2, h, w), noise(2, h, w, seed=1)
    assert close(phi(x + scale * y), phi(x) + scale * phi(y))


@given(sides, sides, factors, kernels, st.floats(-1, 1))
def test_it_keeps_constants(h: int, w: int, factor: float, kernel: Kernel, value: float) -> None:
    x = torch.full((1, h, w), value, dtype=torch.float64)
    assert close(LowPass(factor, kernel)(x), x)


@given(sides, sides, factors, projectors)
def test_projectors_change_nothing_the_second_time(
    h: int, w: int, factor: float, kernel: Kernel
) -> None:
    phi, x = LowPass(factor, kernel), noise(2, h, w)
    assert close(phi(phi(x)), phi(x))


@given(sides, factors, projectors)
def test_projectors_are_orthogonal(side: int, factor: float, kernel: Kernel) -> None:
    down, up = low_pass_matrices(side, factor, kernel)
    assert close(up @ down, (up @ down).T)


def test_the_papers_kernel_is_no_projector() -> None:
    phi, x = LowPass(4), noise(3, 32, 32)
    assert 0.1 < float((phi(phi(x)) - phi(x)).norm() / phi(x).norm()) < 0.5


@given(sides, sides, factors, kernels)
def test_pictures_are_mirrored_not_favoured_on_one_side(
    h: int, w: int, factor: float, kernel: Kernel
) -> None:
    # A pixel whose centre is on the border of two cells goes to one of them.
    assume(kernel != "box" or (factor % 2 == 0 and h % factor == 0 and w % factor == 0))
    phi, x = LowPass(factor, kernel), noise(1, h, w)
    assert close(phi(x.flip(-1)), phi(x).flip(-1))
    assert close(phi(x.flip(-2)), phi(x).flip(-2))
    assert close(phi(x.mT), phi(x).mT)


@given(st.integers(1, 8), st.integers(1, 6), kernels)
def test_beyond_its_edges_a_picture_goes_on_as_in_a_mirror(
    factor: int, cells: int, kernel: Kernel
) -> None:
    side = factor * cells
    phi, x = LowPass(factor, kernel), noise(2, side, side)
    doubled = torch.cat([x, x.flip(-1)], dim=-1)
    assert close(phi(doubled)[..., :side], phi(x))


@given(sides, sides, kernels)
def test_a_factor_of_one_is_the_identity(h: int, w: int, kernel: Kernel) -> None:
    x = noise(2, h, w)
    out = LowPass(1, kernel)(x)
    assert torch.equal(out, x)
    assert out.data_ptr() != x.data_ptr()


@given(st.integers(2, 40), st.floats(1, 100), kernels)
def test_from_the_whole_side_on_only_the_mean_is_left(
    side: int, beyond: float, kernel: Kernel
) -> None:
    x = noise(2, side, side)
    low = LowPass(side * beyond, kernel)(x)
    # Lanczos windows sum to one only after normalisation, so their mean is a weighted one.
    tolerance = 1e-2 if kernel.startswith("lanczos") else 1e-10
    assert close(low, x.mean((-2, -1), keepdim=True).expand_as(x), tolerance)
    assert close(low, low[..., :1, :1].expand_as(x))


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_larger_factor_keeps_less(kernel: Kernel) -> None:
    x = noise(8, 32, 32)
    energy = [float(LowPass(n, kernel)(x).square().mean()) for n in (1, 2, 4, 8, 16)]
    assert energy == sorted(energy, reverse=True)
    assert energy[-1] < 0.02


@pytest.mark.parametrize("kernel", KERNELS)
def test_dimensions_in_front_are_batch(kernel: Kernel) -> None:
    video = noise(2, 3, 4, 7, 10, dtype=torch.float32)
    phi = LowPass(3.3, kernel)
    out = phi(video)
    assert out.shape == video.shape
    for b in range(2):
        for frame in range(4):
            alone = phi(video[b, :, frame])
            torch.testing.assert_close(out[b, :, frame], alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(phi(video[0, 0, 0]), out[0, 0, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_fp32_and_rounded_once(
    kernel: Kernel, dtype: torch.dtype
) -> None:
    x, phi = noise(2, 3, 12, 20, dtype=dtype), LowPass(4, kernel)
    assert torch.equal(phi(x), phi(x.float()).to(dtype))
    y = noise(2, 3, 12, 20, seed=1, dtype=dtype)
    out = match(x, y, phi, 0.7)
    assert torch.equal(out, match(x.float(), y.float(), phi, 0.7).to(dtype))


def test_double_precision_stays_double() -> None:
    x, phi = noise(1, 16, 16), LowPass(4)
    assert phi(x).dtype == torch.float64
    assert not torch.equal(phi(x), phi(x.float()).double())
    torch.testing.assert_close(phi(x.float()).double(), phi(x), rtol=0, atol=1e-6)


def test_the_memory_layout_does_not_matter() -> None:
    x, phi = noise(2, 3, 8, 12, dtype=torch.float32), LowPass(4)
    wanted = phi(x)
    layouts = [
        x.contiguous(memory_format=torch.channels_last),
        x.mT.contiguous().mT,
        torch.stack([x, x], dim=-1)[..., 0],
    ]
    for same in layouts:
        assert torch.equal(same, x)
        torch.testing.assert_close(phi(same), wanted, rtol=0, atol=1e-6)
        torch.testing.assert_close(match(same, 0 * x, phi), x - wanted, rtol=0, atol=1e-6)


def test_matrices_made_in_inference_mode_serve_gradients_later() -> None:
    phi = LowPass(2.71)  # a factor that no other test has put into the cache
    with torch.inference_mode():
        phi(noise(1, 9, 9, dtype=torch.float32))
    x = noise(1, 9, 9, dtype=torch.float32).requires_grad_()
    (gradient,) = torch.autograd.grad(phi(x).square().sum(), x)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("factor", [0.99, 0, -4, math.nan, math.inf, -math.inf])
def test_a_factor_that_is_no_size_is_named_and_refused(factor: float) -> None:
    with pytest.raises(InputError, match=rf"factor N is {factor}; .* at least 1"):
        LowPass(factor)


def test_an_unknown_kernel_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'bicubic'.*'cubic'.*'spectral'"):
        LowPass(2, "bicubic")  # type: ignore[arg-type]


@pytest.mark.parametrize("x", [torch.zeros(1, 8, 8, dtype=torch.uint8), torch.zeros(8)])
def test_what_is_no_picture_is_refused(x: Tensor) -> None:
    with pytest.raises(InputError, match=r"given torch\.\w+ of shape"):
        LowPass(2)(x)


@given(sides, sides, factors, kernels, st.floats(0, 1))
def test_match_is_eq_8(h: int, w: int, factor: float, kernel: Kernel, weight: float) -> None:
    phi, x, y = LowPass(factor, kernel), noise(2, h, w), noise(2, h, w, seed=1)
    assert close(match(x, y, phi, weight), x + weight * (phi(y) - phi(x)))


@given(sides, sides, factors, projectors)
def test_after_a_match_with_a_projector_the_low_frequencies_are_equal(
    h: int, w: int, factor: float, kernel: Kernel
) -> None:
    phi, x, y = LowPass(factor, kernel), noise(2, h, w), noise(2, h, w, seed=1)
    assert close(phi(match(x, y, phi)), phi(y))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("weight", [0, 0.0])
def test_weight_zero_is_the_state_itself_bit_for_bit(dtype: torch.dtype, weight: float) -> None:
    x, y = noise(2, 3, 8, 8, dtype=dtype), noise(2, 3, 8, 8, seed=1, dtype=dtype)
    assert torch.equal(match(x, y, LowPass(4), weight), x)


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize("weight", [0, 0.5, 1.0])
def test_the_inputs_are_neither_changed_nor_returned(factor: float, weight: float) -> None:
    x, y = noise(1, 8, 8, dtype=torch.float32), noise(1, 8, 8, seed=1, dtype=torch.float32)
    before = x.clone(), y.clone()
    out = match(x, y, LowPass(factor), weight)
    out.zero_()
    LowPass(factor)(x).zero_()
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_a_tensor_weight_is_a_mask() -> None:
    x, y = noise(1, 3, 8, 8, dtype=torch.float32), noise(1, 3, 8, 8, seed=1, dtype=torch.float32)
    phi = LowPass(2, "box")
    left = torch.zeros(1, 1, 8, 8)
    left[..., :4] = 1
    out = match(x, y, phi, left)
    torch.testing.assert_close(phi(out)[..., :4], phi(y)[..., :4], rtol=0, atol=1e-6)
    assert torch.equal(out[..., 4:], x[..., 4:])


def test_one_reference_serves_a_batch_and_a_video() -> None:
    x, y, phi = noise(2, 3, 5, 8, 8), noise(1, 3, 1, 8, 8, seed=1), LowPass(8, "spectral")
    assert close(phi(match(x, y, phi)), phi(y).expand_as(x))
