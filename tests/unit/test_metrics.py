"""Distances are zero where nothing differs, grow with the difference, and say so without bias."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Generator, Tensor

from ilvr_latent import InputError, LowPass
from ilvr_latent.metrics.distribution import distances
from ilvr_latent.metrics.network import WIDTHS, FeatureNetwork, load_feature_network
from ilvr_latent.metrics.perceptual import diversity, low_pass_residual, perceptual_distance
from tests.conftest import pictures

DIMENSIONS = 8


def vectors(count: int, seed: int, dimensions: int = DIMENSIONS) -> Tensor:
    return torch.randn(count, dimensions, generator=Generator().manual_seed(seed))


def levels(x: Tensor) -> list[Tensor]:
    return load_feature_network().levels(x)


def test_a_set_has_no_distance_from_itself() -> None:
    z = vectors(200, seed=0)
    found = distances(z, z)
    assert found.fid == pytest.approx(0, abs=1e-4)
    assert found.kid <= 0  # the unbiased estimate leaves out each picture's likeness to itself
    assert found.pictures == 200


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_fid_of_a_shifted_set_is_the_square_of_the_shift(shift: float) -> None:
    z = vectors(200, seed=0)
    moved = z + shift * torch.eye(DIMENSIONS)[0]
    assert distances(moved, z).fid == pytest.approx(shift**2, rel=1e-3)


def test_fid_of_a_scaled_set_is_that_of_gaussians() -> None:
    z = vectors(500, seed=0)
    z = z - z.mean(dim=0)
    wanted = z.double().var(dim=0).sum().item()  # tr(4 C + C - 2 (4 C C)^(1/2)) = tr(C)
    assert distances(2 * z, z).fid == pytest.approx(wanted, rel=1e-3)


def test_fid_of_few_pictures_is_torchmetrics_own() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    from ilvr_latent.metrics.distribution import _Features

    generator = Generator().manual_seed(3)
    x = torch.randn(9, 20, generator=generator).double()
    y = (1.5 * torch.randn(30, 20, generator=generator) + 0.3).double()
    metric = FrechetInceptionDistance(feature=_Features(20), sync_on_compute=False)
    metric.update(y, real=True)
    metric.update(x, real=False)
    assert distances(x, y).fid == pytest.approx(float(metric.compute()), rel=1e-4)


def test_both_grow_with_the_difference() -> None:
    domain = vectors(300, seed=0)
    found = [distances(vectors(60, seed=1) + shift, domain) for shift in (0.0, 0.5, 1.0, 2.0)]
    fid, kid = ([getattr(each, name) for each in found] for name in ("fid", "kid"))
    assert fid == sorted(fid)
    assert kid == sorted(kid)


def test_kid_is_unbiased_where_fid_is_not() -> None:
    domain = vectors(2000, seed=0, dimensions=4)
    found = [distances(vectors(20, seed, dimensions=4), domain) for seed in range(1, 61)]
    kid = torch.tensor([each.kid for each in found])
    fid = torch.tensor([each.fid for each in found])
    error = kid.std() / len(kid) ** 0.5
    assert kid.mean().abs() < 3 * error
    assert kid.min() < 0
    assert fid.min() > 0.1


def test_kid_of_few_pictures_is_that_of_all_pairs_whatever_the_seed() -> None:
    z, domain = vectors(5, seed=0), vectors(7, seed=1)

    def k(x: Tensor, y: Tensor) -> float:
        return float((x.double() @ y.double() / DIMENSIONS + 1) ** 3)

    def within(x: Tensor) -> float:
        pairs = [k(x[i], x[j]) for i, j in itertools.permutations(range(len(x)), 2)]
        return sum(pairs) / len(pairs)

    across = [k(a, b) for a in z for b in domain]
    wanted = within(z) + within(domain) - 2 * sum(across) / len(across)
    assert distances(z, domain, seed=3).kid == pytest.approx(wanted, rel=1e-6)
    assert distances(z, domain, seed=3) == distances(z, domain, seed=4)


def test_kid_of_many_pictures_is_that_of_subsets_and_other_random_numbers_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    z, domain = vectors(30, seed=0), vectors(100, seed=1)
    whole = distances(z, domain).kid
    monkeypatch.setattr("ilvr_latent.metrics.distribution.MOST_FOR_ALL_PAIRS", 50)
    before = torch.random.get_rng_state()
    assert distances(z, domain, seed=3) == distances(z, domain, seed=3)
    assert distances(z, domain, seed=3) != distances(z, domain, seed=4)
    assert distances(z, domain, seed=3).kid == pytest.approx(whole, abs=0.1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_one_picture_is_too_few() -> None:
    with pytest.raises(InputError, match="1 samples and 5 pictures"):
        distances(vectors(1, seed=0), vectors(5, seed=1))


def test_without_torchmetrics_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install 'torchmetrics"):
        distances(vectors(9, seed=0), vectors(9, seed=1))


def test_the_perceptual_distance_is_a_distance() -> None:
    x, y = pictures(4, seed=0, side=64), pictures(4, seed=1, side=64)
    assert torch.equal(perceptual_distance(levels(x), levels(x)), torch.zeros(4))
    there, back = (
        perceptual_distance(levels(x), levels(y)),
        perceptual_distance(levels(y), levels(x)),
    )
    torch.testing.assert_close(there, back)
    assert (there > 0).all()
    assert (there < 2).all()  # features are not negative, so no angle exceeds 90 degrees


def test_the_perceptual_distance_grows_with_noise() -> None:
    x = pictures(4, seed=0, side=64)
    noise = torch.randn(x.shape, generator=Generator().manual_seed(0))
    found = [perceptual_distance(levels(x), levels(x + s * noise)) for s in (0.05, 0.2, 0.8)]
    assert (found[0] < found[1]).all()
    assert (found[1] < found[2]).all()


def test_identical_samples_have_no_diversity() -> None:
    x = pictures(1, seed=0, side=64).expand(10, -1, -1, -1)
    assert diversity(load_feature_network(), x) == pytest.approx(0, abs=1e-9)


def test_diversity_is_the_mean_over_all_pairs() -> None:
    network, x = load_feature_network(), pictures(7, seed=0, side=64)
    pairs = [
        network.distance(x[a : a + 1], x[b : b + 1]).item() for a in range(7) for b in range(a)
    ]
    assert len(pairs) == 21  # more than are compared at a time
    assert diversity(network, x) == pytest.approx(sum(pairs) / 21, rel=1e-4)


def test_the_low_pass_residual_sees_low_frequencies_only() -> None:
    x = pictures(3, seed=0)
    assert torch.equal(low_pass_residual(x, x, 4), torch.zeros(3))
    torch.testing.assert_close(low_pass_residual(x + 0.25, x, 4), torch.full((3,), 0.25))
    checks = (torch.arange(16) % 2 * 2.0 - 1)[:, None] * (torch.arange(16) % 2 * 2.0 - 1)
    assert (low_pass_residual(x + checks, x, 4) < 0.02).all()
    same_low = x + (checks - LowPass(4, "box")(checks))
    assert (low_pass_residual(same_low, x, 4) < 0.02).all()


def test_the_network_takes_any_size() -> None:
    x = pictures(2, seed=0, side=128)
    maps = levels(x)
    assert [tuple(f.shape) for f in maps] == [
        (2, width, 64 >> stage, 64 >> stage) for stage, width in enumerate(WIDTHS, start=1)
    ]
    assert load_feature_network()(x).shape == (2, 64)


def test_the_network_is_small() -> None:
    assert sum(parameter.numel() for parameter in FeatureNetwork().parameters()) < 500_000
