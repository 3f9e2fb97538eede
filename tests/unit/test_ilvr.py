"""ILVR on an exact denoiser: what a reference does to a sample, and what it must not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import ILVR, LowPass, Reference, Schedule, SeededNoise, Window, sample, sample_with
from ilvr_latent.diffusion.guide import Run as GuidedRun
from ilvr_latent.diffusion.guide import begun
from ilvr_latent.diffusion.noise import ReferenceNoise
from ilvr_latent.guides.ilvr import Space
from ilvr_latent.guides.lowpass import Kernel

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

Run = Callable[..., Tensor]
Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]
SHAPE = (4, 3, 16, 16)
SPACES: tuple[Space, ...] = ("state", "prediction")


def rms(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("weight", [0, 0.0])
@pytest.mark.parametrize("seed", [5, [5, 6, 7, 8]], ids=str)
def test_weight_zero_is_no_reference_bit_for_bit(
    run: Run, y_0: Tensor, space: Space, weight: float, seed: object
) -> None:
    off = run(Reference(y_0, 4, weight=weight), space=space, seed=seed)
    assert torch.equal(off, run(None, seed=seed))
    without = run(Reference(y_0, 2), space=space, seed=seed)
    beside = [Reference(y_0, 2), Reference(y_0, 4, weight=weight)]
    assert torch.equal(run(beside, space=space, seed=seed), without)
    assert not torch.equal(off, without)


@pytest.mark.parametrize("space", SPACES)
def test_equal_seeds_give_equal_bits(run: Run, y_0: Tensor, space: Space) -> None:
    reference = Reference(y_0, 4)
    assert torch.equal(run(reference, space=space), run(reference, space=space))
    assert not torch.equal(run(reference, space=space), run(reference, space=space, seed=1))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("reference_noise", ["fresh", "hybrid"])
def test_a_picture_does_not_change_with_the_batch_it_is_made_in(
    run: Run, y_0: Tensor, space: Space, reference_noise: ReferenceNoise
) -> None:
    settings: dict[str, Any] = {"space": space, "reference_noise": reference_noise}
    together = run(Reference(y_0, 4), seed=[3, 4, 5, 6], **settings)
    for k in range(4):
        alone = run(Reference(y_0, 4), seed=[3 + k], shape=(1, *SHAPE[1:]), **settings)
        torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kernel", ["box", "spectral"])
@pytest.mark.parametrize("factor", [2, 3.7, 16])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_with_a_projector_to_the_end_the_low_frequencies_are_the_references(
    run: Run, y_0: Tensor, space: Space, kernel: Kernel, factor: float, sampler: str
) -> None:
    out = run(Reference(y_0, factor, kernel=kernel), space=space, sampler=sampler)
    phi = LowPass(factor, kernel)
    torch.testing.assert_close(phi(out), phi(y_0).expand_as(out), rtol=0, atol=1e-5)
    assert rms(phi(run(None)) - phi(y_0)) > 0.1


@pytest.mark.parametrize("space", SPACES)
def test_with_the_papers_kernel_the_low_frequencies_come_close(
    run: Run, y_0: Tensor, space: Space
) -> None:
    phi = LowPass(4)
    on, off = run(Reference(y_0, 4), space=space), run(None)
    assert rms(phi(on) - phi(y_0)) < 0.25 * rms(phi(off) - phi(y_0))


@pytest.mark.parametrize("space", SPACES)
def test_factor_one_gives_back_the_reference(run: Run, y_0: Tensor, space: Space) -> None:
    out = run(Reference(y_0, 1), space=space)
    torch.testing.assert_close(out, y_0.expand_as(out), rtol=0, atol=1e-6)


def test_a_larger_factor_leaves_more_to_the_model(run: Run, y_0: Tensor) -> None:
    """R_N is nested: what N holds fixed, every multiple of N does, and not the other way round."""
    shape = (32, *SHAPE[1:])
    outs = {n: run(Reference(y_0, n, kernel="box"), shape=shape) for n in (2, 4, 8, 16)}
    diversity = [rms(out - out.mean(0)) for out in outs.values()]
    assert diversity == sorted(diversity)
    assert diversity[-1] > 1.15 * diversity[0]
    for smaller, larger in ((2, 4), (4, 8), (8, 16)):
        coarse, fine = LowPass(larger, "box"), LowPass(smaller, "box")
        assert rms(coarse(outs[smaller]) - coarse(y_0)) < 1e-5
        assert rms(fine(outs[larger]) - fine(y_0)) > 0.05


@pytest.mark.parametrize("space", SPACES)
def test_a_window_that_ends_earlier_follows_less(run: Run, y_0: Tensor, space: Space) -> None:
    phi = LowPass(4, "box")
    residual = [
        rms(phi(run(Reference(y_0, 4, Window(0, end), kernel="box"), space=space)) - phi(y_0))
        for end in (1.0, 0.85, 0.6, 0.3)
    ]
    assert residual == sorted(residual)
    assert residual[-1] > 0.1


@pytest.mark.parametrize("space", SPACES)
def test_less_weight_follows_less(run: Run, y_0: Tensor, space: Space) -> None:
    phi = LowPass(4, "box")
    residual = [
        rms(phi(run(Reference(y_0, 4, weight=w, kernel="box"), space=space)) - phi(y_0))
        for w in (1.0, 0.6, 0.2, 0.0)
    ]
    assert residual == sorted(residual)


def test_the_units_of_a_window_say_the_same(run: Run, y_0: Tensor) -> None:
    t = [step.t for step in Schedule("linear", 1000, 8).steps]
    windows = [
        Window.steps(1, 5),
        Window.timesteps(t[1], t[5]),
        Window.timesteps(t[0] - 1, t[6] + 1),
        Window(1 - (t[0] - 1) / 999, 1 - (t[6] + 1) / 999),
    ]
    first, *others = (run(Reference(y_0, 4, window)) for window in windows)
    for out in others:
        assert torch.equal(out, first)
    assert not torch.equal(first, run(Reference(y_0, 4, Window.steps(1, 6))))


@pytest.fixture
def left() -> Tensor:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8] = 1
    return mask


@pytest.mark.parametrize("space", SPACES)
def test_references_with_disjoint_masks_act_side_by_side(
    run: Run, some_pictures: Pictures, left: Tensor, space: Space
) -> None:
    a, b = some_pictures(2, seed=9)[:, None]
    phi = LowPass(4, "box")
    out = run(
        [
            Reference(a, 4, mask=left, kernel="box"),
            Reference(b, 4, mask=1 - left, kernel="box"),
        ],
        space=space,
    )
    wanted = (left * phi(a) + (1 - left) * phi(b)).expand_as(out)
    torch.testing.assert_close(phi(out), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("weights", "shares"),
    [((1.0, 1.0), (0.5, 0.5)), ((0.8, 0.4), (2 / 3, 1 / 3)), ((1, 0.25), (0.8, 0.2))],
)
def test_references_that_overlap_are_averaged_by_weight(
    run: Run,
    some_pictures: Pictures,
    space: Space,
    weights: tuple[float, float],
    shares: tuple[float, float],
) -> None:
    a, b = some_pictures(2, seed=9)[:, None]
    phi = LowPass(4, "box")
    both = [Reference(y, 4, weight=w, kernel="box") for y, w in zip((a, b), weights, strict=True)]
    out = run(both, space=space)
    wanted = phi(shares[0] * a + shares[1] * b).expand_as(out)
    torch.testing.assert_close(phi(out), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_only_where_masks_overlap_are_references_averaged(
    run: Run, some_pictures: Pictures, left: Tensor, space: Space
) -> None:
    a, b = some_pictures(2, seed=9)[:, None]
    phi = LowPass(4, "box")
    out = run(
        [Reference(a, 4, kernel="box"), Reference(b, 4, mask=left, kernel="box")], space=space
    )
    wanted = (left * phi((a + b) / 2) + (1 - left) * phi(a)).expand_as(out)
    torch.testing.assert_close(phi(out), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_the_order_of_references_does_not_matter(
    run: Run, some_pictures: Pictures, left: Tensor, space: Space
) -> None:
    a, b, c = some_pictures(3, seed=9)[:, None]
    references = [
        Reference(a, 4, Window(0, 0.7), weight=0.8),
        Reference(b, 2, mask=left),
        Reference(c, 8, Window(0.3, 1), kernel="box"),
    ]
    forwards = run(references, space=space)
    torch.testing.assert_close(run(references[::-1], space=space), forwards, rtol=0, atol=1e-4)


def test_references_are_repeated_over_the_batch_in_turn(run: Run, some_pictures: Pictures) -> None:
    pair, phi = some_pictures(2, seed=9), LowPass(4, "box")
    out = run(Reference(pair, 4, kernel="box"))
    torch.testing.assert_close(phi(out), phi(pair).repeat(2, 1, 1, 1), rtol=0, atol=1e-5)


def test_without_a_shape_there_is_a_sample_for_each_picture_of_the_reference(
    exact: Exact, some_pictures: Pictures
) -> None:
    pair = some_pictures(2, seed=9, side=32)
    model = exact(some_pictures(2, seed=1, side=32), image_size=32)
    assert sample(model, Reference(pair, 4), steps=2).shape == pair.shape


def test_a_guide_serves_many_runs_also_at_once(model: MixtureDenoiser, y_0: Tensor) -> None:
    guide = ILVR(Reference(y_0, 4), reference_noise="hybrid")
    schedule = Schedule("linear", 1000, 8)

    def apart(seed: int) -> Tensor:
        return sample_with(model, guide, shape=SHAPE, steps=8, noise=SeededNoise(seed))

    assert torch.equal(apart(0), apart(0))
    states = SeededNoise(2).initial((len(schedule), *SHAPE))
    alone = []
    for seed in (0, 1):
        one = begun(guide, GuidedRun(schedule, SHAPE, model.device, SeededNoise(seed)))
        alone.append([one.state(x, step) for x, step in zip(states, schedule.steps, strict=True)])
    runs = [
        begun(guide, GuidedRun(schedule, SHAPE, model.device, SeededNoise(seed))) for seed in (0, 1)
    ]
    for x, step in zip(states, schedule.steps, strict=True):
        for k, one in enumerate(runs):
            assert torch.equal(one.state(x, step), alone[k][step.index])
