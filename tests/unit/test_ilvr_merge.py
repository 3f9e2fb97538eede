"""Several references by the minimum-norm rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from ilvr_latent import ILVR, Guides, InputError, LowPass, Reference, SeededNoise, sample_with
from ilvr_latent.guides.lowpass import MergeRule, merge

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

SHAPE = (2, 3, 16, 16)
Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]
BOX = LowPass(4, "box")


@pytest.fixture
def x(some_pictures: Pictures) -> Tensor:
    return some_pictures(2, seed=3)


def change(x: Tensor, targets: Sequence[Tensor], rule: MergeRule, weight: float = 1.0) -> Tensor:
    return merge(x, [(BOX, weight, y) for y in targets], rule) - x


def test_the_change_is_the_shortest_of_the_hull(x: Tensor, some_pictures: Pictures) -> None:
    ys = [y.expand(SHAPE) for y in some_pictures(2, seed=4)[:, None]]
    shortest, average = (change(x, ys, rule) for rule in ("min_norm", "average"))
    alone = [change(x, [y], "average") for y in ys]
    norm = shortest.flatten(2).norm(dim=2)
    for other in (average, *alone):
        assert bool((norm <= other.flatten(2).norm(dim=2) * (1 + 1e-5)).all())
        # It goes against none of them.
        product = (shortest * other).flatten(2).sum(2)
        assert bool((product >= norm.square() * (1 - 1e-4)).all())


def test_equal_references_are_one_and_opposite_ones_nothing(x: Tensor) -> None:
    y = x.flip(-1)
    torch.testing.assert_close(change(x, [y, y], "min_norm"), change(x, [y], "average"))
    opposite = change(x, [y, 2 * x - y], "min_norm")
    torch.testing.assert_close(opposite, torch.zeros_like(x), atol=1e-6, rtol=0)
    # Weights that sum to less than one leave the rest to the picture, as in an average.
    weak = change(x, [y, y], "min_norm", weight=0.3)
    torch.testing.assert_close(weak, change(x, [y, y], "average", weight=0.3))


def test_side_by_side_each_acts_alone(x: Tensor, some_pictures: Pictures) -> None:
    left = torch.zeros(1, 1, 16, 16)
    left[..., :8] = 1
    y, z = some_pictures(2, seed=4)[:, None]
    targets = [(BOX, left, y), (BOX, 1 - left, z)]
    torch.testing.assert_close(merge(x, targets, "min_norm"), merge(x, targets))


def test_a_run_of_it(exact: Exact, some_pictures: Pictures) -> None:
    a, b = (Reference(y, 4, kernel="box") for y in some_pictures(2, seed=6)[:, None])

    def run(guide: ILVR | Guides) -> Tensor:
        return sample_with(exact(), guide, shape=SHAPE, steps=6, noise=SeededNoise(3))

    out = run(ILVR([a, b], merge="min_norm"))
    assert not torch.equal(out, run(ILVR([a, b])))
    chained = Guides(ILVR(a, merge="min_norm"), ILVR(b, merge="min_norm"))
    torch.testing.assert_close(run(chained), out)
    assert torch.equal(run(ILVR(a, merge="min_norm")), run(ILVR(a)))
    with pytest.raises(InputError, match="merge of references is 'shortest'"):
        ILVR(a, merge="shortest")  # type: ignore[arg-type]
