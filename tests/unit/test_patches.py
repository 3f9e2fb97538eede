"""Networks that see patches draw no pattern with the patch's period."""

import pytest
import torch
from torch import Tensor

from ilvr_latent import sample
from ilvr_latent.adm.config import ADMConfig
from ilvr_latent.adm.patches import repeated, weights_of_state, without_repeated
from ilvr_latent.adm.unet import ADM, ADMUNet
from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.embedded import load_embedded

TIMESTEPS = torch.tensor([0, 37, 500, 999])
KINDS = ("v_prediction", "epsilon", "sample")


def config(**changes: object) -> ADMConfig:
    given = {
        "image_size": 16,
        "num_channels": 32,
        "num_res_blocks": 1,
        "channel_mult": (1, 1),
        "attention_levels": (),
        "noise_schedule": "cosine",
        "patch": 2,
    }
    return ADMConfig(**(given | changes))  # type: ignore[arg-type]


def network(**changes: object) -> ADM:
    torch.manual_seed(0)
    chosen = config(**changes)
    return ADM(ADMUNet(chosen), chosen).eval()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def levels() -> tuple[Tensor, Tensor]:
    """alpha and sigma of the timesteps, for pictures."""
    a_bar = alphas_cumprod("cosine", 1000)[TIMESTEPS].float().reshape(-1, 1, 1, 1)
    return a_bar.sqrt(), (1 - a_bar).sqrt()


def estimate(kind: str, out: Tensor, x_t: Tensor) -> Tensor:
    """x_0 hat, as the samplers read it."""
    alpha, sigma = levels()
    if kind == "v_prediction":
        return alpha * x_t - sigma * out
    return (x_t - sigma * out) / alpha if kind == "epsilon" else out


@pytest.mark.parametrize("patch", [2, 4])
def test_what_repeats_is_the_frequencies_of_the_patch(patch: int) -> None:
    x = normal(2, 3, 16, 8)
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(8), indexing="ij")
    of_the_patch = (rows % (16 // patch) == 0) & (columns % (8 // patch) == 0)
    of_the_patch[0, 0] = False
    expected = torch.fft.ifft2(torch.fft.fft2(x) * of_the_patch).real
    torch.testing.assert_close(repeated(x, patch), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("learn_sigma", [False, True])
def test_the_estimate_has_no_part_that_repeats(kind: str, learn_sigma: bool) -> None:
    model = network(prediction_type=kind, learn_sigma=learn_sigma)
    x_t = normal(4, 3, 16, 16)
    with torch.inference_mode():
        out = model(x_t, TIMESTEPS)[:, :3]
    x_0 = estimate(kind, out, x_t)
    # At t = 999 the estimate of an eps network is a difference divided by 5e-5, hence large.
    size = x_0.abs().amax((1, 2, 3), keepdim=True)
    torch.testing.assert_close(repeated(x_0 / size, 2), 0 * x_0, atol=1e-4, rtol=0)
    assert (
        repeated(estimate(kind, normal(4, 3, 16, 16, seed=5), x_t) / size, 2)
    ).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right_stays_and_only_the_grid_goes(kind: str) -> None:
    x_0 = normal(4, 3, 16, 16, seed=1)
    x_0 = x_0 - repeated(x_0, 2)
    eps = normal(4, 3, 16, 16, seed=2)
    alpha, sigma = levels()
    x_t = alpha * x_0 + sigma * eps
    right = {"v_prediction": alpha * eps - sigma * x_0, "epsilon": eps, "sample": x_0}[kind]
    weight = weights_of_state(config(prediction_type=kind))[TIMESTEPS]
    torch.testing.assert_close(without_repeated(right, x_t, weight, 2), right, atol=2e-4, rtol=0)
    grid = repeated(normal(4, 3, 16, 16, seed=3), 2)
    variance = normal(4, 3, 16, 16, seed=4)
    out = without_repeated(torch.cat([right + grid, variance], dim=1), x_t, weight, 2)
    torch.testing.assert_close(out, torch.cat([right, variance], dim=1), atol=2e-4, rtol=0)


def test_networks_that_see_pixels_and_those_that_train_are_left_alone() -> None:
    x_t = normal(4, 3, 16, 16)
    for model, differs in ((network(patch=1), False), (network(), True)):
        with torch.inference_mode():
            sampled, trained = model(x_t, TIMESTEPS), model.train()(x_t, TIMESTEPS)
        assert (not torch.equal(sampled, trained)) is differs


def test_weights_files_do_not_change() -> None:
    model = network()
    assert all(name.startswith("unet.") for name in model.state_dict())


def test_samples_of_the_embedded_model_have_less_of_a_grid_than_pictures() -> None:
    seeds = [0, 1]
    x = sample(load_embedded(), None, shape=(2, 3, 64, 64), steps="early6", seed=seeds)
    # Of 256 pictures of the domain: 0.0027; of samples with the grid: 0.012 to 0.014.
    assert repeated(x, 2).square().mean().sqrt() < 0.0027
