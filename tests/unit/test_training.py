"""Training: views of pictures, averaged weights, runs that stop, go on and travel."""

from __future__ import annotations

import copy
import io
import json
import math
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from transformers import CLIPTokenizer

from ilvr_latent.adm.layers import Attention, norm
from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.embedded import load_embedded_pipeline
from training import everything, latents, shipped, train_latent
from training.augment import crops, moved, rotate_hue, views
from training.cpu import FastAttention, FastGroupNorm, fast_on_cpu
from training.diffusion import ema_decay, noised_at_random, velocity_loss
from training.loop import (
    AVERAGED,
    CHECKPOINT,
    LOG,
    Options,
    Recipe,
    averaged_weights,
    train,
)

RECIPE = Recipe(name="line", images=400, batch_size=4, learning_rate=0.05, decay=0.3, warm_up=5)


def pictures(count: int = 5, side: int = 32) -> Tensor:
    generator = Generator().manual_seed(1)
    return torch.randint(256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def fit(
    cache: Path, *, images: int = 400, seen: int = 0, **changed: object
) -> tuple[nn.Module, int]:
    """Fit a line; the network, and the steps that were taken."""
    torch.manual_seed(0)
    model, steps = nn.Linear(1, 1), []

    def loss(model: nn.Module, size: int, generator: Generator) -> Tensor:
        steps.append(size)
        x = torch.rand(size, 1, generator=generator)
        return F.mse_loss(model(x), 2 * x + 1)

    options = Options(cache, torch.device("cpu"), images=images, **changed)  # type: ignore[arg-type]
    train(model, loss, RECIPE, options, seen=seen)
    return model, len(steps)


def test_unmoved_pictures_stay_as_they_are() -> None:
    x = pictures().float() / 127.5 - 1
    still = torch.zeros(5, 1, 1, 1, dtype=torch.bool)
    same = moved(x, torch.ones(5), torch.zeros(5, 2), still, 32)
    torch.testing.assert_close(same, x, atol=1e-5, rtol=0)
    mirrored = moved(x, torch.ones(5), torch.zeros(5, 2), ~still, 32)
    torch.testing.assert_close(mirrored, x.flip(-1), atol=1e-5, rtol=0)


def test_pictures_are_moved_right_and_down_over_white() -> None:
    x = pictures().float() / 127.5 - 1
    still, shift = torch.zeros(5, 1, 1, 1, dtype=torch.bool), torch.tensor([[8 / 32, 4 / 32]])
    out = moved(x, torch.ones(5), shift.expand(5, 2), still, 32)
    torch.testing.assert_close(out[..., 6:, 10:], x[..., 2:-4, 2:-8], atol=1e-5, rtol=0)
    assert (out[..., :2, :] == 1).all()


def test_the_hue_turns_in_a_circle_and_greys_stay() -> None:
    x = pictures().float() / 255
    torch.testing.assert_close(rotate_hue(x, torch.full((5,), 360.0)), x, atol=1e-4, rtol=0)
    grey = x.mean(dim=1, keepdim=True).expand_as(x)
    torch.testing.assert_close(rotate_hue(grey, torch.full((5,), 77.0)), grey, atol=2e-3, rtol=0)


@pytest.mark.parametrize("draw", [views, crops])
def test_views_come_from_the_generator_alone(draw: Callable[..., Tensor]) -> None:
    first, again = (draw(pictures(), 16, Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (5, 3, 16, 16)
    assert first.abs().max() <= 1


@pytest.mark.parametrize("span", [0.05, 0.1])
def test_averaged_weights_reach_back_a_share_of_the_run(span: float) -> None:
    """Standard deviation of when the averaged weights were current, over the run's length."""
    n = 4000
    share = torch.zeros(n, dtype=torch.float64)
    for step in range(1, n + 1):
        decay = ema_decay(step, span)
        share[: step - 1] *= decay
        share[step - 1] = 1 - decay
    when = torch.arange(1, n + 1) / n
    mean = (share * when).sum()
    assert share.sum() == pytest.approx(1)
    assert math.sqrt((share * (when - mean) ** 2).sum()) == pytest.approx(span, rel=0.01)


def test_the_exact_velocity_costs_nothing() -> None:
    x_0 = torch.randn(3, 1, 4, 4, generator=Generator().manual_seed(5))
    a_bars = torch.linspace(0.99, 0.01, 10)

    def exact(x_t: Tensor, t: Tensor) -> Tensor:
        a_bar = a_bars[t].view(-1, 1, 1, 1)
        return (a_bar.sqrt() * x_t - x_0) / (1 - a_bar).sqrt()

    assert velocity_loss(exact, x_0, a_bars, Generator().manual_seed(0)) < 1e-8
    assert velocity_loss(lambda x, t: 0 * x, x_0, a_bars, Generator().manual_seed(0)) > 0.01


def test_the_timesteps_of_a_batch_are_spread_evenly_from_anywhere() -> None:
    a_bars, generator = alphas_cumprod("cosine", 40).float(), Generator().manual_seed(0)
    seen = set()
    for _ in range(200):
        _, t, _ = noised_at_random(torch.zeros(8, 1, 2, 2), a_bars, generator)
        assert sorted((t - t[0]).remainder(40).tolist()) == list(range(0, 40, 5))
        seen.update(t.tolist())
    assert seen == set(range(40))


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    fit(tmp_path, images=200)
    weights, seen = averaged_weights("line", tmp_path)
    assert seen == 200
    model, steps = fit(tmp_path)
    assert steps == 50
    assert averaged_weights("line", tmp_path)[1] == 400
    assert abs(model.get_parameter("weight").item() - 2) < abs(weights["weight"].item() - 2)


def test_averaged_weights_alone_are_enough_to_go_on(tmp_path: Path) -> None:
    fit(tmp_path, images=200)
    (tmp_path / "line" / CHECKPOINT).unlink()
    assert fit(tmp_path)[1] == 50
    assert fit(tmp_path, images=440, restart=True)[1] == 10


def test_time_ends_a_run_too(tmp_path: Path) -> None:
    assert fit(tmp_path, images=10**9, minutes=1e-9)[1] == 1


def test_figures_stand_in_the_log(tmp_path: Path) -> None:
    fit(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "line" / LOG).read_text().splitlines()]
    assert [line["seen"] for line in lines] == [200, 400]
    assert lines[1]["loss"] < lines[0]["loss"]


def test_what_was_trained_travels_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything, "PART", 3000)
    cache, output = tmp_path / "cache", tmp_path / "out"
    fit(cache)
    output.mkdir()
    everything.pack(cache, output)
    parts = sorted(output.iterdir(), key=lambda part: int(part.suffix[1:]))
    assert max(part.stat().st_size for part in parts) == 3000
    whole = io.BytesIO(b"".join(part.read_bytes() for part in parts))
    with tarfile.open(fileobj=whole) as tar:
        assert f"line/{AVERAGED}" in tar.getnames()
        assert f"line/{LOG}" in tar.getnames()


@pytest.mark.parametrize("channels", [32, 96])
def test_layers_for_the_cpu_are_torchs_own(channels: int) -> None:
    """The same values and the same gradients, whatever lies in the maps."""
    generator = Generator().manual_seed(6)
    theirs = nn.ModuleList([norm(channels), Attention(channels, 2)])
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    ours = fast_on_cpu(copy.deepcopy(theirs))
    assert {type(layer) for layer in ours.modules()} >= {FastGroupNorm, FastAttention}
    x, back = (torch.randn(2, channels, 6, 4, generator=generator) for _ in range(2))
    found = []
    for layers in (theirs, ours):
        assert isinstance(layers, nn.ModuleList)
        given = (3 * x + 1).requires_grad_()
        out = layers[1](layers[0](given), given)
        out.backward(back)
        found.append([out, given.grad, *(p.grad for p in layers.parameters())])
    for wanted, got in zip(*found, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-3, rtol=1e-3)


def test_the_latent_model_learns_the_same_with_layers_for_the_cpu() -> None:
    theirs = train_latent.build(vocabulary=20)
    generator = Generator().manual_seed(7)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.05, generator=generator)
    ours = copy.deepcopy(theirs)
    fast_on_cpu(ours)
    x_t, t = torch.randn(2, 8, 16, 16, generator=generator), torch.tensor([30, 700])
    tokens = torch.randint(2, 20, (2, 16), generator=generator)
    found = []
    for model in (theirs, ours):
        v = model(x_t, t, tokens)
        v.square().mean().backward()
        found.append([v, *(p.grad for p in model.parameters() if p.grad is not None)])
    for wanted, got in zip(*found, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-3)


def test_a_run_begins_at_a_model_that_has_seen_pictures(tmp_path: Path) -> None:
    """Where it goes on, what it has itself seen counts."""
    assert fit(tmp_path, images=200, seen=120)[1] == 20
    assert averaged_weights("line", tmp_path)[1] == 200
    assert fit(tmp_path, images=240, seen=120)[1] == 10


@torch.inference_mode()
def test_a_run_goes_on_from_the_latent_model_that_ships(tmp_path: Path) -> None:
    pipe = load_embedded_pipeline()
    shipped.lay(tmp_path, pipe)
    weights, seen = averaged_weights("latent", tmp_path)
    model = train_latent.build().eval()
    model.load_state_dict(weights)
    assert seen == shipped.LATENT_SEEN
    generator = Generator().manual_seed(0)
    z = torch.randn(2, 8, 16, 16, generator=generator)
    prompts = ["red apple", "cat face, flat"]
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path / "tokenizer")
    tokens = tokenizer(prompts, padding="max_length", max_length=16, return_tensors="pt").input_ids
    states, _ = pipe.encode_prompt(prompts, "cpu", 1, False)
    t = torch.tensor(500)
    torch.testing.assert_close(
        model(z, t, tokens), pipe.unet(z, t, encoder_hidden_states=states).sample
    )
    picture = torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1
    torch.testing.assert_close(
        latents.trained_autoencoder(tmp_path).encode(picture).latents,
        pipe.vae.encode(picture).latents,
    )
    assert latents.scaling_factor(tmp_path) == pytest.approx(pipe.vae.config.scaling_factor)
