"""Train the embedded pixel model: 64x64 RGB, v-prediction, cosine schedule, patch of 2.

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m training.train_pixel --images 120000

Stopped or killed, the same command goes on from the last checkpoint (at most five minutes are
lost). About 20 images a second on two idle cores.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Generator, Tensor, nn

from ilvr_latent.adm.config import ADMConfig
from ilvr_latent.adm.unet import ADM, ADMUNet
from ilvr_latent.diffusion.schedule import alphas_cumprod
from training import data
from training.augment import view
from training.diffusion import capped_weight, noised, velocity
from training.loop import Recipe, options, train

CONFIG = ADMConfig(
    image_size=64,
    num_channels=64,
    num_res_blocks=1,
    channel_mult=(1, 2, 2),
    attention_levels=(1, 2),
    num_head_channels=32,
    resblock_updown=True,
    patch=2,
    noise_schedule="cosine",
    prediction_type="v_prediction",
    sigma_small=True,
)
RECIPE = Recipe(
    name="pixel", images=200_000, batch_size=32, learning_rate=7e-4, decay=0.3, ema=0.999
)


def build() -> ADM:
    """A fresh network whose residual branches and output start at zero, as in guided-diffusion."""
    torch.manual_seed(0)
    model = ADM(ADMUNet(adm=dataclasses.asdict(CONFIG)), CONFIG)
    for name, parameter in model.named_parameters():
        if any(part in name for part in (".conv2.", ".to_out.", ".conv_out.")):
            torch.nn.init.zeros_(parameter)
    # torch types Module.to without its memory_format.
    return model.to(memory_format=torch.channels_last)  # type: ignore


def batch(pictures: dict[str, Tensor], size: int, generator: Generator) -> Tensor:
    """Random views of pictures that are not held out, (size, 3, 64, 64) in [-1, 1]."""
    weights = pictures["weights"] * ~pictures["held_out"]
    chosen = torch.multinomial(weights, size, replacement=True, generator=generator)
    side = CONFIG.image_size
    return torch.stack([view(pictures["images"][index], side, generator) for index in chosen])


def loss(model: nn.Module, x_0: Tensor, a_bars: Tensor, generator: Generator) -> Tensor:
    """Weighted error of the predicted velocity, a scalar."""
    t = torch.randint(len(a_bars), (len(x_0),), generator=generator)
    eps = torch.randn(x_0.shape, generator=generator)
    a_bar = a_bars[t]
    v = model(noised(x_0, eps, a_bar), t)
    error = (v - velocity(x_0, eps, a_bar)).square().mean(dim=(1, 2, 3))
    weighted: Tensor = (capped_weight(a_bar) * error).mean()
    return weighted


def main() -> None:
    """Train, going on where the last run stopped."""
    chosen = options(__doc__, RECIPE)
    pictures = data.load(chosen.cache)
    a_bars = alphas_cumprod(CONFIG.noise_schedule, CONFIG.diffusion_steps).float()

    def draw_and_compare(model: nn.Module, size: int, generator: Generator) -> Tensor:
        return loss(model, batch(pictures, size, generator), a_bars, generator)

    train(
        build(),
        draw_and_compare,
        RECIPE,
        images=chosen.images,
        cache=chosen.cache,
        restart=chosen.restart,
    )


if __name__ == "__main__":
    main()
