"""The three properties of the paper (section 3): nested sets, the range, what counts of y.

R_N is the set of the pictures x with phi_N(x) = phi_N(y).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image
from torch import Tensor

from ilvr_latent import LowPass, Reference, Window, sample, vary_factor, vary_range
from ilvr_latent.cli import properties
from ilvr_latent.cli.properties import with_details_of
from ilvr_latent.guides.lowpass import Kernel
from ilvr_latent.metrics.perceptual import low_pass_residual
from ilvr_latent.pictures.plot import BLUE

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser
    from tests.unit.conftest import Outcome

Pictures = Callable[..., Tensor]
Run = Callable[..., Tensor]
SEEDS = tuple(range(24))
FACTORS = (1.0, 2.0, 4.0, 8.0, 16.0)
RANGES = ((1000, 0), (1000, 125), (1000, 250), (1000, 500))
# Kernel, N and M for which phi_M phi_N = phi_M: blocks of M are made of blocks of N, and the ideal
# low pass of M keeps a part of what that of N keeps.
PROJECTORS: list[tuple[Kernel, float, float]] = [
    *(("box", n, m) for n, m in ((2, 4), (2, 8), (4, 8), (3, 6))),
    *(("spectral", n, m) for n, m in ((2, 4), (2, 3), (2.5, 7), (4, 24))),
]
# For the cubic kernel, M / N and the share of noise that phi_M sees of what phi_N does not see.
MOST_APART = {1: 1e-12, 1.5: 0.1, 2: 0.04, 3: 0.01, 4: 0.005}


@pytest.fixture
def rich(exact: Callable[..., MixtureDenoiser], some_pictures: Pictures) -> MixtureDenoiser:
    """A denoiser of so many pictures that several agree with a reference in little."""
    return exact(centres=some_pictures(40, seed=1), variance=0.05)


def noise(seed: int, side: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, side, side, generator=generator, dtype=torch.float64)


def spread(x: Tensor) -> float:
    """The mean standard deviation of a pixel over the samples."""
    return x.std(dim=0).mean().item()


def rising(values: list[float], least: float) -> bool:
    """Whether each is larger than the one before, by a factor."""
    return all(b > least * a for a, b in itertools.pairwise(values))


# Property 1


@pytest.mark.parametrize(("kernel", "n", "m"), PROJECTORS)
def test_for_projectors_r_n_is_a_part_of_r_m(kernel: Kernel, n: float, m: float) -> None:
    phi_n, phi_m = LowPass(n, kernel), LowPass(m, kernel)
    y, z = noise(0), noise(1)
    torch.testing.assert_close(phi_m(phi_n(z)), phi_m(z))
    in_r_n = y + z - phi_n(z)
    torch.testing.assert_close(phi_n(in_r_n), phi_n(y))
    torch.testing.assert_close(phi_m(in_r_n), phi_m(y))
    in_r_m = y + z - phi_m(z)
    torch.testing.assert_close(phi_m(in_r_m), phi_m(y))
    assert (phi_n(in_r_m) - phi_n(y)).square().mean().sqrt() > 0.05


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("ratio", MOST_APART)
def test_for_the_cubic_kernel_it_is_one_but_for_a_little(n: float, ratio: float) -> None:
    y, z = noise(0, 48), noise(1, 48)
    in_r_n = with_details_of(z, y, n)
    torch.testing.assert_close(LowPass(n)(in_r_n), LowPass(n)(y))
    apart, before = (LowPass(n * ratio)(x - y).square().mean().sqrt() for x in (in_r_n, z))
    assert apart <= MOST_APART[ratio] * before


@pytest.mark.parametrize("kernel", ["box", "spectral"])
def test_samples_of_a_projector_agree_at_every_m_from_n_on(
    kernel: Kernel, run: Run, y_0: Tensor
) -> None:
    for k, n in enumerate(FACTORS):
        x = run(Reference(y_0, n, kernel=kernel))
        for m in FACTORS[k:]:
            agree = LowPass(m, kernel)
            torch.testing.assert_close(agree(x), agree(y_0).expand_as(x), rtol=0, atol=1e-5)
        for m in FACTORS[:k]:
            assert (LowPass(m, kernel)(x - y_0)).square().mean().sqrt() > 0.05


def test_samples_of_the_cubic_kernel_are_no_farther_at_m_than_at_n(run: Run, y_0: Tensor) -> None:
    for k, n in enumerate(FACTORS):
        x = run(Reference(y_0, n))
        residuals = [low_pass_residual(x, y_0, m).mean().item() for m in FACTORS]
        assert all(residual <= residuals[k] + 1e-6 for residual in residuals[k:])
        assert all(residual > 2 * residuals[k] for residual in residuals[:k])


def test_samples_differ_the_more_the_larger_n(rich: MixtureDenoiser, y_0: Tensor) -> None:
    made = vary_factor(rich, y_0, SEEDS, factors=FACTORS, steps=20)
    spreads = [spread(x) for x in made.values()]
    assert spreads[0] < 1e-5
    assert rising(spreads, 1.05), spreads


# Property 2


def test_a_narrower_range_leaves_more_pictures(rich: MixtureDenoiser, y_0: Tensor) -> None:
    made = vary_range(rich, y_0, SEEDS, factor=4, ranges=RANGES, steps=20)
    spreads = [spread(x) for x in made.values()]
    residuals = [low_pass_residual(x, y_0, 4).mean().item() for x in made.values()]
    assert rising(spreads, 1.02), spreads
    assert rising(residuals, 1.02), residuals


# Property 3


@pytest.mark.parametrize("space", ["state", "prediction"])
@pytest.mark.parametrize("window", [Window(), Window(0, 0.5)], ids=["whole", "half"])
@pytest.mark.parametrize("kernel", ["cubic", "box"])
def test_of_the_reference_only_its_low_frequencies_count(
    space: str, window: Window, kernel: Kernel, model: MixtureDenoiser, some_pictures: Pictures
) -> None:
    y, z = some_pictures(1, seed=9), some_pictures(1, seed=10)
    phi = LowPass(4, kernel)
    same = with_details_of(z, y, 4) if kernel == "cubic" else z + phi(y - z)
    assert (same - y).abs().max() > 0.3

    def made(image: Tensor) -> Tensor:
        reference = Reference(image, 4, window=window, kernel=kernel)
        return sample(model, reference, steps=20, space=space, seed=3)  # type: ignore[arg-type]

    of_y = made(y)
    torch.testing.assert_close(made(same), of_y, rtol=0, atol=1e-5)
    # Let go in the middle, both end in the same of three pictures, and differ in their grain only.
    assert (made(z) - of_y).abs().max() > 1e-3


def test_a_checkerboard_on_the_reference_changes_nothing(
    model: MixtureDenoiser, y_0: Tensor
) -> None:
    checks = 1.0 - 2.0 * (torch.arange(16)[:, None] + torch.arange(16)).remainder(2)
    plain, checked = (
        sample(model, Reference(image, 4, kernel="box"), steps=20, seed=3)
        for image in (y_0, y_0 + 0.5 * checks)
    )
    torch.testing.assert_close(checked, plain, rtol=0, atol=1e-5)


# The figures


def test_the_command_writes_a_figure_for_each_property(
    ilvr: Callable[..., Outcome],
    model: MixtureDenoiser,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(properties, "load_embedded", lambda **_: model)
    outcome = ilvr("properties", "--output", output, "--steps", 4, "--device", "cpu")
    assert (outcome.status, outcome.err) == (0, "")
    made = sorted(output.iterdir())
    names = ["property-nested.png", "property-range.png", "property-same.png"]
    assert [path.name for path in made] == names
    for path in made:
        with Image.open(path) as figure:
            assert figure.height > 4 * properties.CELL
            assert figure.width > 5 * properties.CELL
    ilvr("properties", "--output", output, "--steps", 0).is_refusal_of("--steps", "0")


def test_numbers_and_maps_are_the_bluer_the_larger() -> None:
    corners = [properties.number_cell(value).getpixel((0, 0)) for value in (0.0, 0.1, 0.4, 9.0)]
    assert corners == [(255, 255, 255), (191, 216, 236), BLUE, BLUE]
    values = torch.tensor([[0.0, 0.1, 0.4], [0.4, 0.0, 0.1]])
    heat = properties.heat_map(values)
    assert heat.size == (3, 2)
    assert [heat.getpixel((x, 0)) for x in range(3)] == corners[:3]
    assert heat.getpixel((0, 1)) == BLUE
