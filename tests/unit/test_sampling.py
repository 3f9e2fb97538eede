"""The reverse process with a denoiser that is exact, so that what comes out is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
from torch import Tensor

from ilvr_latent import InputError, Schedule, SeededNoise, Step, sample, sample_with
from ilvr_latent.diffusion.reverse import transitions

if TYPE_CHECKING:
    from tests.conftest import CountedNoise, MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]
Sampler = Literal["ddpm", "ddim"]
SHAPE = (2, 3, 16, 16)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_equal_seeds_give_equal_bits_and_others_do_not(exact: Exact, sampler: Sampler) -> None:
    model = exact(variance=0.05)
    first, again, other = (
        sample(model, None, shape=SHAPE, steps=5, sampler=sampler, seed=seed) for seed in (1, 1, 2)
    )
    assert first.shape == SHAPE
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_picture_does_not_change_with_the_batch_it_is_made_in(exact: Exact) -> None:
    model = exact(variance=0.05)
    together = sample(model, None, shape=(4, 3, 16, 16), steps=6, seed=[3, 4, 5, 6])
    for k in range(4):
        alone = sample(model, None, shape=(1, 3, 16, 16), steps=6, seed=[3 + k])
        torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=1e-5)


def test_every_sample_is_one_of_the_pictures_it_was_made_for(exact: Exact) -> None:
    model = exact(variance=1e-6)
    out = sample(model, None, shape=(6, 3, 16, 16), steps=20, clip_denoised=False)
    distance, which = torch.cdist(out.flatten(1), model.centres.flatten(1)).min(dim=1)
    assert float(distance.max()) < 0.1
    assert len(set(which.tolist())) > 1


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
# The noisiest level of cosine divides the rounding of eps by 5e-5.
@pytest.mark.parametrize(("noise_schedule", "tolerance"), [("linear", 1e-4), ("cosine", 1e-3)])
def test_the_three_forms_of_one_prediction_give_one_picture(
    exact: Exact, sampler: Sampler, noise_schedule: str, tolerance: float
) -> None:
    outs = [
        sample(
            exact(variance=0.05, prediction_type=form, noise_schedule=noise_schedule),
            None,
            shape=SHAPE,
            steps=10,
            sampler=sampler,
            eta=0.5,
        )
        for form in ("epsilon", "sample", "v_prediction")
    ]
    torch.testing.assert_close(outs[0], outs[1], rtol=0, atol=tolerance)
    torch.testing.assert_close(outs[2], outs[1], rtol=0, atol=tolerance)


def statistics(x: Tensor) -> tuple[float, float, int]:
    return float(x.double().mean()), float(x.double().var()), x.numel()


@pytest.mark.parametrize(("mean", "steps"), [(0.0, 5), (0.4, 10)])
def test_ddpm_of_a_unit_gaussian_has_its_mean_and_variance_at_any_number_of_steps(
    exact: Exact, mean: float, steps: int
) -> None:
    """Where the data have variance 1, beta is the exact variance of a reverse step."""
    model = exact(torch.full((1, 3, 16, 16), mean), variance=1.0)
    out = sample(model, None, shape=(32, 3, 16, 16), steps=steps, clip_denoised=False)
    got_mean, got_variance, n = statistics(out)
    assert got_mean == pytest.approx(mean, abs=4 / math.sqrt(n) + 0.01 * mean)
    assert got_variance == pytest.approx(1, abs=4 * math.sqrt(2 / n) + 2e-4)


@pytest.mark.parametrize("variance", [0.02, 0.3])
def test_a_learned_variance_that_is_right_makes_few_steps_exact(
    exact: Exact, variance: float
) -> None:
    """A reverse step's true variance lies between beta_tilde and beta; the network says where."""
    schedule = Schedule("linear", 1000, 6)
    table = torch.zeros(1000, dtype=torch.float64)
    for step, transition in zip(schedule.steps[:-1], transitions(schedule), strict=False):
        rest = 1 - transition.a_bar
        uncertain = variance * rest / (transition.a_bar * variance + rest)  # Var(x_0 | x_t)
        slope = math.sqrt(transition.a_bar_prev) * transition.beta / rest
        true = math.exp(transition.log_beta_tilde) + slope**2 * uncertain
        low, high = transition.log_beta_tilde, math.log(transition.beta)
        table[step.t] = 2 * (math.log(true) - low) / (high - low) - 1
    assert -1 <= float(table.min()) <= float(table.max()) <= 1
    centre = torch.full((1, 3, 16, 16), 0.2)
    model = exact(centre, variance=variance, learn_sigma=True, learned=lambda t: table[t])
    out = sample(model, None, shape=(32, 3, 16, 16), steps=6, clip_denoised=False)
    got_mean, got_variance, n = statistics(out)
    assert got_mean == pytest.approx(0.2, abs=4 * math.sqrt(variance / n) + 2e-3)
    # The last step adds no noise; what it leaves out is 1 - a_bar_0 = 1e-4 at most.
    assert got_variance == pytest.approx(variance, abs=4 * variance * math.sqrt(2 / n) + 2e-4)
    fixed = sample(
        model, None, shape=(32, 3, 16, 16), steps=6, clip_denoised=False, variance="fixed_small"
    )
    assert abs(statistics(fixed)[1] - variance) > 3 * abs(got_variance - variance)


@pytest.mark.parametrize(("value", "fixed"), [(1.0, "fixed_large"), (-1.0, "fixed_small")])
def test_the_ends_of_the_learned_range_are_the_fixed_variances(
    exact: Exact, value: float, fixed: Literal["fixed_large", "fixed_small"]
) -> None:
    learned = exact(
        variance=0.05, learn_sigma=True, learned=lambda t: torch.full(t.shape, value).double()
    )
    wanted = sample(exact(variance=0.05), None, shape=SHAPE, steps=8, variance=fixed)
    torch.testing.assert_close(
        sample(learned, None, shape=SHAPE, steps=8), wanted, rtol=0, atol=1e-5
    )
    torch.testing.assert_close(
        sample(learned, None, shape=SHAPE, steps=8, variance=fixed), wanted, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("sigma_small", [False, True])
def test_without_a_learned_variance_the_networks_configuration_says_which(
    exact: Exact, sigma_small: bool
) -> None:
    model = exact(variance=0.05, sigma_small=sigma_small)
    named, large, small = (
        sample(model, None, shape=SHAPE, steps=8, variance=variance)
        for variance in (None, "fixed_large", "fixed_small")
    )
    assert torch.equal(named, small if sigma_small else large)
    assert not torch.equal(small, large)


def test_ddim_with_eta_1_is_ddpm_with_the_small_variance(exact: Exact) -> None:
    ddim = sample(exact(variance=0.05), None, shape=SHAPE, steps=10, sampler="ddim", eta=1.0)
    ddpm = sample(exact(variance=0.05), None, shape=SHAPE, steps=10, variance="fixed_small")
    torch.testing.assert_close(ddim, ddpm, rtol=0, atol=1e-4)


class SameStart:
    """Two sources of noise that share x_T."""

    def __init__(self, x_T: Tensor, seed: int) -> None:
        self.x_T, self.rest = x_T, SeededNoise(seed)

    def initial(self, shape: object) -> Tensor:
        return self.x_T

    def step(self, i: int, shape: Any) -> Tensor:
        return self.rest.step(i, shape)

    def reference(self, i: int, shape: Any) -> Tensor:
        return self.rest.reference(i, shape)


@pytest.mark.parametrize(("eta", "same"), [(0.0, True), (0.3, False)])
def test_ddim_without_noise_follows_from_its_start_alone(
    exact: Exact, eta: float, same: bool
) -> None:
    x_T = SeededNoise(0).initial(SHAPE)
    outs = [
        sample(
            exact(variance=0.2), None, shape=SHAPE, steps=8, sampler="ddim", eta=eta,
            noise=SameStart(x_T, seed),
        )
        for seed in (1, 2)
    ]  # fmt: skip
    assert torch.equal(*outs) is same


def test_clipping_holds_the_prediction_within_the_picture(exact: Exact) -> None:
    model = exact(torch.full((1, 3, 16, 16), 1.5), variance=1e-6)
    assert float(sample(model, None, shape=SHAPE, steps=4).max()) == pytest.approx(1)
    free = sample(model, None, shape=SHAPE, steps=4, clip_denoised=False)
    assert float(free.max()) == pytest.approx(1.5, abs=0.05)


def test_numbers_are_drawn_in_the_order_of_the_authors_code(
    exact: Exact, counted_noise: CountedNoise
) -> None:
    sample(exact(), None, shape=SHAPE, steps=3, noise=counted_noise)
    assert counted_noise.asked == [("x_T", -1), ("z", 0), ("z", 1), ("z", 2)]


def test_the_callback_sees_every_step_and_its_state(exact: Exact) -> None:
    model, seen = exact(), list[tuple[Step, Tensor]]()
    out = sample(model, None, shape=SHAPE, steps=4, callback=lambda step, x: seen.append((step, x)))
    assert [step.index for step, _ in seen] == [0, 1, 2, 3]
    assert torch.equal(seen[-1][1], out)
    for (_, made), entered in zip(seen, model.seen[1:], strict=False):
        assert torch.equal(made, entered)


def test_one_picture_of_the_networks_size_is_the_default(exact: Exact) -> None:
    assert sample(exact(), None, steps=2).shape == (1, 3, 16, 16)
    assert sample(exact(), [], steps=2).shape == (1, 3, 16, 16)


def test_gradients_are_not_kept(exact: Exact) -> None:
    model = exact()
    model.centres.requires_grad_()
    try:
        assert not sample(model, None, steps=2).requires_grad
    finally:
        model.centres.requires_grad_(False)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"steps": "0"}, r"steps is '0'"),
        ({"steps": 2000}, r"steps is '2000'"),
        ({"sampler": "euler"}, r"sampler is 'euler'; use 'ddpm' or 'ddim'"),
        ({"eta": 1.5}, r"eta is 1.5"),
        ({"eta": -0.1}, r"eta is -0.1"),
        ({"eta": math.nan}, r"eta is nan"),
        ({"variance": "learned"}, r"variance is 'learned'"),
        ({"variance": "learned_range"}, r"has not learned one"),
        ({"compat": "paper"}, r"compat is 'paper'"),
        ({"range_t": 3}, r"range_t belongs to compat"),
        ({"compat": "ilvr_adm", "range_t": 9, "steps": 10}, r"range_t is 9, .* from 0 to 8"),
        ({"class_labels": 3}, r"class label is 3, but this network is unconditional"),
        ({"seed": [1, 2]}, r"2 seeds for a batch of 1"),
    ],
    ids=str,
)
def test_a_bad_setting_is_named_before_the_network_is_called(
    exact: Exact, settings: dict[str, Any], sentence: str
) -> None:
    model = exact()
    with pytest.raises(InputError, match=sentence):
        sample(model, None, **settings)
    assert not model.seen


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (None, "class-conditional: give a class label from 0 to 9"),
        (10, "class label is 10; use 0 to 9"),
        (-1, "class label is -1; use 0 to 9"),
        (torch.tensor([0, 10]), "use 0 to 9"),
        (torch.tensor([1, 2, 3]), "3 class labels for a batch of 2"),
    ],
    ids=str,
)
def test_a_bad_class_label_is_named_before_the_network_is_called(
    exact: Exact, labels: int | Tensor | None, sentence: str
) -> None:
    model = exact(num_classes=10)
    with pytest.raises(InputError, match=sentence):
        sample(model, None, shape=SHAPE, class_labels=labels)
    assert not model.seen


@pytest.mark.parametrize("labels", [7, torch.tensor([7]), torch.tensor([7, 7])], ids=str)
def test_class_labels_reach_the_network_one_for_each_picture(
    exact: Exact, labels: int | Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, given = exact(num_classes=10), list[Tensor | None]()
    forward = type(model).__call__

    def spy(self: MixtureDenoiser, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        given.append(y)
        return forward(self, x, t)

    monkeypatch.setattr(type(model), "__call__", spy)
    sample(model, None, shape=SHAPE, steps=2, class_labels=labels)
    assert len(given) == 2
    for y in given:
        assert y is not None
        assert y.tolist() == [7, 7]


def test_sampling_without_a_guide_is_sampling_without_references(exact: Exact) -> None:
    alone = sample_with(exact(), None, shape=SHAPE, steps=3, noise=SeededNoise(0))
    assert torch.equal(alone, sample(exact(), None, shape=SHAPE, steps=3))
