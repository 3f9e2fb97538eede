"""Train the embedded pixel model: 64x64 RGB, v-prediction, cosine schedule, patch of 2.

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m training.train_pixel --prolong

Stopped or killed, the same command goes on from the last checkpoint (at most five minutes are
lost). With ``--prolong`` a new run begins at the model that ships.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Generator, Tensor, nn

from ilvr_latent import sample
from ilvr_latent.adm.config import ADMConfig
from ilvr_latent.adm.unet import ADM, ADMUNet
from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.embedded import load_embedded
from ilvr_latent.metrics.distribution import distances
from ilvr_latent.metrics.domain import load_embedded_domain, pooled_features
from ilvr_latent.metrics.network import load_feature_network
from training import styles
from training.augment import views
from training.diffusion import velocity_loss
from training.loop import Recipe, read_options, train
from training.report import tiled

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
# What a GPU has the time for; the other is what two cores can train.
WIDE = replace(CONFIG, num_res_blocks=2, channel_mult=(1, 2, 3))
RECIPE = Recipe(name="pixel", images=600_000, batch_size=32, learning_rate=6e-4, decay=0.6)
SHIPPED_SEEN = 550_000  # pictures, by the model that ships
FLAGS = {
    "prolong": "a new run begins at the model that ships",
    "wide": "the network that a GPU has the time for",
}


def build(config: ADMConfig = CONFIG) -> ADM:
    """A fresh network whose residual branches and output start at zero, as in guided-diffusion."""
    torch.manual_seed(0)
    model = ADM(ADMUNet(config), config)
    for name, parameter in model.named_parameters():
        if any(part in name for part in (".out_layers.3.", ".proj_out.", ".out.2.")):
            torch.nn.init.zeros_(parameter)
    # torch types Module.to without its memory_format.
    return model.to(memory_format=torch.channels_last)  # type: ignore


class Views:
    """Random views of the solid pictures that are not held out.

    Args:
        cache: where the pictures are.
        device: where they are drawn.
    """

    def __init__(self, cache: Path, device: torch.device) -> None:
        pictures = styles.load(cache)
        solid = pictures["style"] == 0
        pictures = {name: tensor[solid] for name, tensor in pictures.items()}
        self._images = pictures["images"].to(device)
        self._weights = (pictures["weights"] * ~pictures["held_out"]).to(device)

    def draw(self, size: int, generator: Generator) -> Tensor:
        """(size, 3, 64, 64) in [-1, 1]."""
        picked = torch.multinomial(self._weights, size, replacement=True, generator=generator)
        return views(self._images[picked], CONFIG.image_size, generator)


@torch.inference_mode()
def report(model: nn.Module, samples: int) -> tuple[dict[str, float], Image.Image]:
    """FID of unguided samples in few steps, and some of them."""
    assert isinstance(model, ADM)
    device, side = model.device, CONFIG.image_size
    parts = [
        sample(
            model,
            None,
            shape=(len(seeds), 3, side, side),
            steps="early20",
            sampler="unipc_damped",
            seed=seeds,
        )
        for seeds in (list(range(k, min(k + 256, samples))) for k in range(0, samples, 256))
    ]
    x = torch.cat(parts).clamp(-1, 1)
    network = load_feature_network().to(device)
    found = distances(pooled_features(network, x).cpu(), load_embedded_domain().features)
    return {"fid": found.fid, "kid": found.kid, "samples": samples}, tiled(x[:64].cpu())


def main() -> None:
    """Train, going on where the last run stopped."""
    recipe, chosen = read_options(__doc__, RECIPE, FLAGS)
    if {"prolong", "wide"} <= chosen.flags:
        raise SystemExit("--prolong begins at the model that ships, which is not --wide.")
    drawn = Views(chosen.cache, chosen.device)
    a_bars = alphas_cumprod(CONFIG.noise_schedule, CONFIG.diffusion_steps).float()
    a_bars = a_bars.to(chosen.device)

    def draw_and_compare(model: nn.Module, size: int, generator: Generator) -> Tensor:
        return velocity_loss(model, drawn.draw(size, generator), a_bars, generator)

    samples = 1024 if chosen.device.type == "cuda" else 64
    model, seen = build(WIDE if "wide" in chosen.flags else CONFIG), 0
    if "prolong" in chosen.flags:
        model.load_state_dict(load_embedded().state_dict())
        seen = SHIPPED_SEEN
    train(model, draw_and_compare, recipe, chosen, lambda ema: report(ema, samples), seen=seen)


if __name__ == "__main__":
    main()
