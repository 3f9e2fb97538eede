"""Train the autoencoder of the latent model: TAESD's layout, 128x128 pictures to 4x16x16 latents.

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m training.train_autoencoder

It learns from crops, which is all a convolutional network of this reach needs. It begins as a
thumbnail: three channels of a latent are the mean colour of their cell, and stay near it, so that a
low-passed latent is nearly the latent of a low-passed picture, which is what ILVR asks of a latent
space. (From the usual start, a thousand steps later everything was still grey.) Noise is added
before decoding, so that a diffusion model's small errors do not show.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from diffusers.models.autoencoders.vae import AutoencoderTinyBlock
from torch import Generator, Tensor, nn

from training import data
from training.augment import crop
from training.loop import Recipe, options, train

RECIPE = Recipe(
    name="autoencoder",
    images=20_000,
    batch_size=8,
    learning_rate=1.5e-3,
    decay=0.4,
    ema=0.995,
    beta_2=0.99,
)
SIDE = 64
LATENT_NOISE = 0.15
LATENT_PENALTY = 5e-3
COLOUR_WEIGHT, COLOUR_SCALE = 0.2, 1.5


class NoisyAutoencoder(nn.Module):
    """Encode, disturb, decode.

    Args:
        vae: the autoencoder that is trained.
    """

    def __init__(self, vae: AutoencoderTiny) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The picture decoded from the disturbed latent, and the latent itself."""
        z = self.vae.encoder(image)
        return self.vae.decoder(z + LATENT_NOISE * noise), z


def build() -> NoisyAutoencoder:
    """A fresh autoencoder with the published TAESD's layout."""
    torch.manual_seed(0)
    vae = AutoencoderTiny()
    begin_as_thumbnail(vae)
    # torch types Module.to without its memory_format.
    return NoisyAutoencoder(vae).to(memory_format=torch.channels_last)  # type: ignore


@torch.no_grad()
def begin_as_thumbnail(vae: AutoencoderTiny) -> None:
    """Make it encode the mean colour of each cell, and decode that as a flat square.

    Every residual block begins as the identity, and the convolutions between them carry red, green
    and blue through in their first three channels; the rest is random.
    """
    for module in vae.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for block in vae.modules():
        if isinstance(block, AutoencoderTinyBlock):
            nn.init.zeros_(block.conv[-1].weight)
    halve = torch.zeros(3, 3)
    halve[1:, 1:] = 0.25
    keep = torch.zeros(3, 3)
    keep[1, 1] = 1.0
    first, *between, last = (m for m in vae.encoder.layers if isinstance(m, nn.Conv2d))
    carry_colour(first, keep)
    for convolution in between:
        carry_colour(convolution, halve)
    # The networks work on [0, 1], the latents' colours are in COLOUR_SCALE * [-1, 1].
    carry_colour(last, 2 * COLOUR_SCALE * keep, -COLOUR_SCALE)
    first, *between, last = (m for m in vae.decoder.layers if isinstance(m, nn.Conv2d))
    carry_colour(first, keep / (2 * COLOUR_SCALE), 0.5)
    for convolution in (*between, last):
        carry_colour(convolution, keep)


def carry_colour(convolution: nn.Conv2d, kernel: Tensor, bias: float = 0.0) -> None:
    """Let the first three channels out be the first three in, filtered."""
    convolution.weight[:3] = 0
    for channel in range(3):
        convolution.weight[channel, channel] = kernel
    if convolution.bias is not None:
        convolution.bias[:3] = bias


def edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbours, downwards and to the right."""
    return image.diff(dim=-2), image.diff(dim=-1)


def distance(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of values and of edges, at full, half and quarter size."""
    total = torch.zeros(())
    for _ in range(3):
        total = total + F.l1_loss(image, target)
        for a, b in zip(edges(image), edges(target), strict=True):
            total = total + 0.5 * F.l1_loss(a, b)
        image, target = F.avg_pool2d(image, 2), F.avg_pool2d(target, 2)
    return total


def colour_error(z: Tensor, image: Tensor) -> Tensor:
    """How far the first three channels of the latents are from the mean colours of their cells."""
    return F.mse_loss(z[:, :3], COLOUR_SCALE * F.avg_pool2d(image, 8))


def main() -> None:
    """Train, going on where the last run stopped."""
    chosen = options(__doc__, RECIPE)
    pictures = data.load(chosen.cache)
    weights = pictures["weights"] * ~pictures["held_out"]

    def loss(model: nn.Module, size: int, generator: Generator) -> Tensor:
        picked = torch.multinomial(weights, size, replacement=True, generator=generator)
        image = torch.stack([crop(pictures["images"][index], SIDE, generator) for index in picked])
        noise = torch.randn(size, 4, SIDE // 8, SIDE // 8, generator=generator)
        decoded, z = model(image.contiguous(memory_format=torch.channels_last), noise)
        penalty = LATENT_PENALTY * z.square().mean() + COLOUR_WEIGHT * colour_error(z, image)
        error: Tensor = distance(decoded, image) + penalty
        return error

    train(build(), loss, RECIPE, images=chosen.images, cache=chosen.cache, restart=chosen.restart)


if __name__ == "__main__":
    main()
