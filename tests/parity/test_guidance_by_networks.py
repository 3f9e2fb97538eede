"""Classifier, CLIP and universal guidance against a reference implementation in float64."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ilvr_latent import Guide, InputError, SeededNoise, Step, sample_with
from ilvr_latent.adm import ClassifierConfig, adm_classifier, load_adm_classifier
from ilvr_latent.adm.classifier_network import ADMClassifier
from ilvr_latent.diffusion import gradient
from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.guides import (
    ClassifierGuidance,
    ClipGuidance,
    UniversalGuidance,
    spherical_distance,
)
from tests.parity.goldens import Golden, GoldenMixture, GoldenNoise, features, golden

TRAJECTORY = 1e-4
A_BAR = alphas_cumprod("linear", 1000)


def sampled(run: Golden, guide: Guide | None, noise: Any, **settings: Any) -> list[Tensor]:
    """The last state of each step, by its index."""
    model = GoldenMixture(run["gm_mu"], run["gm_w"], float(run["gm_s"]))
    states: dict[int, Tensor] = {}

    def keep(step: Step, x: Tensor) -> None:
        states[step.index] = x

    shape = tuple(run["x_T"].shape)
    sample_with(
        model, guide, shape=shape, steps=run.meta["steps"], noise=noise, callback=keep, **settings
    )
    return [states[index] for index in sorted(states)]


def linear_classifier(run: Golden) -> Any:
    def logits(x: Tensor, t: Tensor) -> Tensor:
        return A_BAR[t].sqrt().to(x)[:, None] * (x.flatten(1) @ run["W"].to(x).T)

    return logits


def test_classifier_guidance_of_ddim() -> None:
    run = golden("classifier_ddim")
    guide = ClassifierGuidance(linear_classifier(run), run["labels"], scale=run.meta["scale"])
    settings = {"sampler": "ddim", "eta": run.meta["eta"], "clip_denoised": run.meta["clip"]}
    states = sampled(run, guide, GoldenNoise(run["x_T"], run["z"]), **settings)
    for state, wanted in zip(states, run["expected"], strict=True):
        torch.testing.assert_close(state.double(), wanted, atol=TRAJECTORY, rtol=0)


def log_posterior(run: Golden) -> Any:
    """The mixture's own classifier of its components."""

    def logits(x: Tensor, t: Tensor) -> Tensor:
        a = A_BAR[t].view(-1, 1, 1, 1, 1)
        v = a * float(run["gm_s"]) ** 2 + 1 - a
        away = x.double()[:, None] - a.sqrt() * run["gm_mu"].double()
        return run["gm_w"].double().log() - (away.square() / (2 * v)).flatten(2).sum(2)

    return logits


@pytest.mark.parametrize("component", [0, 1, 2])
def test_with_the_true_posterior_it_is_the_denoiser_of_the_class(component: int) -> None:
    run = golden("classifier_ddim")
    settings: dict[str, Any] = {"sampler": "ddim", "eta": 0.0, "clip_denoised": False}
    noise = GoldenNoise(run["x_T"].double(), run["z"].double())
    guided = sampled(run, ClassifierGuidance(log_posterior(run), component), noise, **settings)
    alone = Golden(
        run.meta,
        {**run.arrays, "gm_mu": run["gm_mu"][component, None], "gm_w": torch.ones(1)},
    )
    wanted = sampled(alone, None, noise, **settings)
    torch.testing.assert_close(guided[-1], wanted[-1], atol=1e-12, rtol=0)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_ddpm_moves_its_mean_by_the_variance_times_the_gradient(variance: str) -> None:
    """Step by step, the last one too: fixed_small alone has no variance there."""
    run, scale = golden("classifier_ddim"), 2.0
    noise = GoldenNoise(run["x_T"].double(), run["z"].double())
    settings: dict[str, Any] = {"variance": variance, "clip_denoised": False}
    guide = ClassifierGuidance(linear_classifier(run), run["labels"], scale=scale)
    guided = sampled(run, guide, noise, **settings)
    chosen = torch.nn.functional.one_hot(run["labels"], 3).double()
    x = run["x_T"].double()
    model = GoldenMixture(run["gm_mu"], run["gm_w"], float(run["gm_s"]))
    for i, (t, a, p) in enumerate(
        zip(run["timesteps"].tolist(), run["abar"], run["abar_prev"], strict=True)
    ):
        eps = model(x, torch.tensor([t] * 2))
        x_0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
        beta = 1 - a / p
        mu = p.sqrt() * beta / (1 - a) * x_0 + (a / p).sqrt() * (1 - p) / (1 - a) * x
        before = run["abar"][i - 1] if p == 1 else None
        small = beta * (1 - p) / (1 - a)
        if before is not None:
            # guided-diffusion clips the last variance to that of the step before.
            small = (1 - before / a) * (1 - a) / (1 - before)
        v = small if variance == "fixed_small" or p == 1 else beta
        added = 0.0 if p == 1 and variance == "fixed_small" else v
        logits = linear_classifier(run)(x, torch.tensor([t] * 2))
        slope = a.sqrt() * ((chosen - logits.softmax(1)) @ run["W"].double()).view_as(x)
        x = mu + scale * added * slope + (0 if p == 1 else v**0.5) * run["z"][i].double()
        torch.testing.assert_close(guided[i], x, atol=1e-9, rtol=0)


def filled(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """The golden weights of a network."""
    weights = {}
    for i, name in enumerate(sorted(shapes)):
        generator = torch.Generator().manual_seed(1000 + i)
        w = torch.randn(shapes[name], generator=generator, dtype=torch.float64)
        if w.ndim > 1:
            w = w * 0.5 / math.sqrt(w.numel() / w.shape[0])
        else:
            w = 0.1 * w + (1 if name.endswith(".weight") else 0)
        weights[name] = w.float()
    return weights


def config_of(meta: dict[str, Any]) -> dict[str, Any]:
    return {
        "image_size": meta["size"],
        "width": meta["width"],
        "depth": meta["depth"],
        "channel_mult": tuple(meta["mult"]),
        "attention_downsampling": tuple(meta["attention_ds"]),
        "num_head_channels": meta["head_channels"],
        "pool": meta["pool"],
        "use_scale_shift_norm": meta["ss"],
        "resblock_updown": meta["resblock_updown"],
        "num_classes": meta["classes"],
    }


def test_the_classifier_network_and_its_gradient() -> None:
    run = golden("classifier_net_attention")
    network = adm_classifier(config_of(run.meta), filled(run.meta["shapes"]))
    logits = network(run["x"], run["t"])
    torch.testing.assert_close(logits.double(), run["expected_logits"], atol=1e-5, rtol=1e-5)

    def log_likelihood(x: Tensor) -> Tensor:
        logits: Tensor = network(x, run["t"])
        return logits.log_softmax(1).gather(1, run["labels"][:, None])[:, 0]

    slope = gradient(log_likelihood, run["x"])
    torch.testing.assert_close(slope.double(), run["expected_gradient"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pool", ["attention", "adaptive", "spatial", "spatial_v2"])
@pytest.mark.parametrize("updown", [True, False])
@pytest.mark.parametrize(("mult", "depth"), [((1, 2), 1), ((1, 2, 3), 2)])
def test_a_file_tells_what_it_is_but_for_its_heads(
    tmp_path: Path, pool: Any, updown: bool, mult: tuple[int, ...], depth: int
) -> None:
    config = ClassifierConfig(
        16, 32, depth, mult, (2,), 32, pool, resblock_updown=updown, num_classes=5,
        use_scale_shift_norm=updown,
    )  # fmt: skip
    shapes = {name: tuple(w.shape) for name, w in ADMClassifier(config).state_dict().items()}
    path = tmp_path / "classifier.safetensors"
    save_file(filled(shapes), path)
    with pytest.raises(InputError, match="num_head_channels"):
        load_adm_classifier(path)
    loaded = load_adm_classifier(path, num_head_channels=32, image_size=16)
    assert loaded.config == config
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([10, 900])
    direct = adm_classifier(dataclasses.asdict(config), filled(shapes))
    assert torch.equal(loaded(x, t), direct(x, t))
    assert not torch.equal(loaded(x, t), loaded(x, t.flip(0)))
    with pytest.raises(InputError, match=r"depth=9 .* file has depth|depth"):
        load_adm_classifier(path, num_head_channels=32, image_size=16, depth=9)


def test_other_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"conv.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(InputError, match="not the tensors of a guided-diffusion classifier"):
        load_adm_classifier(path)
    with pytest.raises(InputError, match="has no 'size'"):
        adm_classifier({"size": 3}, {})


def test_clip_guidance() -> None:
    run = golden("clip_spherical")
    distance = spherical_distance(run["u"], run["v"])
    torch.testing.assert_close(distance.double(), run["expected_loss"], atol=1e-5, rtol=0)
    a = run.meta["abar"]
    mixture = GoldenMixture(run["gm_mu"], run["gm_w"], float(run["gm_s"]))

    def denoise(x: Tensor) -> Tensor:
        v = a * mixture.spread**2 + 1 - a
        away = x.double()[:, None] - a**0.5 * mixture.mu.double()
        r = (mixture.weights.double().log() - (away.square() / (2 * v)).flatten(2).sum(2)).softmax(
            1
        )
        r = r[:, :, None, None, None]
        means = mixture.mu.double() + a**0.5 * mixture.spread**2 / v * away
        x_0: Tensor = (r * means).sum(1).to(x)
        return x_0

    guide = ClipGuidance(
        lambda x: x.flatten(1) @ run["P"].T, run["target"], scale=run.meta["scale"], clip=False
    )
    x_0 = guide.x_0(denoise, run["x"], a)
    torch.testing.assert_close(x_0.double(), run["expected_x0"], atol=1e-5, rtol=0)


class RepeatedNoise(GoldenNoise):
    """Recorded numbers for steps that may be taken again: z[i][j], renoise[i][j]."""

    def __init__(self, run: Golden, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(run["x_T"].to(dtype), run["z"].to(dtype))
        self._back = run["renoise"].to(dtype)

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        return self.z[i][0]

    def repeat_step(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        return self.z[i][j]

    def renoise(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        return self._back[i][j]


@pytest.mark.parametrize("clip_denoised", [False, True])
def test_universal_guidance_forward(clip_denoised: bool) -> None:
    """Its own clip counts, and not the sampler's."""
    run = golden("ug_forward")
    network, target = features(run), run["target"]

    def loss(x_0: Tensor) -> Tensor:
        return (network(x_0) - target.to(x_0)).square().flatten(1).sum(1) / 8

    meta = {"recurrence": 1, "m": 0, "lr": 0.0, "eta": 0.0, "clip": False} | run.meta
    guide = UniversalGuidance(
        loss, weight=meta["weight"], backward_steps=meta["m"], backward_lr=meta["lr"],
        recurrence=meta["recurrence"], clip=meta["clip"],
    )  # fmt: skip
    settings = {"sampler": "ddim", "eta": meta["eta"], "clip_denoised": clip_denoised}
    states = sampled(run, guide, RepeatedNoise(run), **settings)
    for state, wanted in zip(states[:-1], run["expected"][:-1], strict=True):
        torch.testing.assert_close(state.double(), wanted, atol=1e-3, rtol=0)
    torch.testing.assert_close(states[-1].double(), run["expected"][-1], atol=TRAJECTORY, rtol=0)


def test_nothing_at_all_is_the_unguided_run_and_draws_no_more() -> None:
    run = golden("ug_forward")

    def loss(x_0: Tensor) -> Tensor:
        raise AssertionError("nobody needs it")

    plain = sampled(run, None, SeededNoise(3))
    off: list[Guide] = [
        UniversalGuidance(loss),
        ClassifierGuidance(lambda x, t: loss(x), 0, scale=0.0),
        ClipGuidance(loss, torch.ones(1, 4), scale=0.0),
    ]
    for guide in off:
        assert torch.equal(sampled(run, guide, SeededNoise(3))[-1], plain[-1])


def test_backward_guidance_with_a_projector_is_matching_of_the_prediction() -> None:
    from ilvr_latent import ILVR, LowPass, Reference

    run = golden("ug_forward")
    phi = LowPass(4, "box")
    y_0 = run["gm_mu"][:1].float()

    def loss(x_0: Tensor) -> Tensor:
        return phi(x_0 - y_0.to(x_0)).square().flatten(1).sum(1) / 2

    universal = UniversalGuidance(loss, backward_steps=1, backward_lr=1.0)
    matched = ILVR(Reference(y_0, 4, kernel="box", space="prediction"))
    settings = {"clip_denoised": False}
    ours, ilvr = (sampled(run, g, SeededNoise(1), **settings)[-1] for g in (universal, matched))
    torch.testing.assert_close(ours, ilvr, atol=1e-5, rtol=0)


def test_recurrence_takes_each_step_again_and_leaves_an_exact_model_alone() -> None:
    run = golden("ug_forward")
    model = GoldenMixture(torch.zeros(1, 3, 8, 8), torch.ones(1), 0.6)
    guide = UniversalGuidance(lambda x: x.flatten(1).sum(1), recurrence=3)
    x = sample_with(
        model, guide, shape=(256, 3, 8, 8), steps=run.meta["steps"], sampler="ddim", eta=1.0,
        clip_denoised=False, noise=SeededNoise(0),
    )  # fmt: skip
    assert len(model.seen) == 3 * 6
    once = sample_with(
        GoldenMixture(model.mu, model.weights, 0.6), None, shape=(256, 3, 8, 8),
        steps=run.meta["steps"], sampler="ddim", eta=1.0, clip_denoised=False, noise=SeededNoise(0),
    )  # fmt: skip
    assert float(x.std()) == pytest.approx(float(once.std()), rel=0.1)
    with pytest.raises(InputError, match="renoise"):
        sampled(run, guide, GoldenNoise(run["x_T"], run["z"][:, 0]), sampler="ddim")


def test_a_picture_does_not_change_with_its_batch() -> None:
    run = golden("ug_forward")
    network, target = features(run), run["target"]

    def loss_to(target: Tensor) -> Any:
        return lambda x_0: (network(x_0) - target).square().flatten(1).sum(1)

    model = GoldenMixture(run["gm_mu"], run["gm_w"], float(run["gm_s"]))
    settings: dict[str, Any] = {"steps": 4, "sampler": "ddim"}
    together = sample_with(
        model, UniversalGuidance(loss_to(target), weight=0.3), shape=(2, 3, 8, 8),
        noise=SeededNoise([4, 5]), **settings,
    )  # fmt: skip
    for k in range(2):
        guide = UniversalGuidance(loss_to(target[k, None]), weight=0.3)
        alone = sample_with(
            model, guide, shape=(1, 3, 8, 8), noise=SeededNoise([4 + k]), **settings
        )
        torch.testing.assert_close(alone[0], together[k], atol=1e-4, rtol=0)
