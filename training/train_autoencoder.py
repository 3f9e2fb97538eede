"""Train the autoencoder of the latent model: TAESD's layout, 128x128 pictures to 8x16x16 latents.

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
from PIL.Image import Image
from torch import Generator, Tensor, nn

from ilvr_latent.embedded import REFERENCES
from ilvr_latent.pictures.images import fit_to, read_image, to_tensor
from training import data, styles
from training.augment import crops
from training.loop import Recipe, read_options, train
from training.report import psnr, resized, tiled

RECIPE = Recipe(name="autoencoder", images=600_000, batch_size=64, learning_rate=1.5e-3, decay=0.5)
LATENT_CHANNELS = 8
PHOTOGRAPHS = 0.25  # share of the crops
SIDE = 64
LATENT_NOISE = 0.08
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
    vae = AutoencoderTiny(latent_channels=LATENT_CHANNELS)
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
    total = torch.zeros((), device=image.device)
    for _ in range(3):
        total = total + F.l1_loss(image, target)
        for a, b in zip(edges(image), edges(target), strict=True):
            total = total + 0.5 * F.l1_loss(a, b)
        image, target = F.avg_pool2d(image, 2), F.avg_pool2d(target, 2)
    return total


def colour_error(z: Tensor, image: Tensor) -> Tensor:
    """How far the first three channels of the latents are from the mean colours of their cells."""
    return F.mse_loss(z[:, :3], COLOUR_SCALE * F.avg_pool2d(image, 8))


class Crops:
    """Random crops of pictures in every design, and of photographs.

    Args:
        pictures: as :func:`training.styles.load` gives them.
        device: where they are drawn.
    """

    def __init__(self, pictures: dict[str, Tensor], device: torch.device) -> None:
        photo = pictures["style"] == styles.PHOTOGRAPH
        drawn = (pictures["weights"] * ~pictures["held_out"]) * (1 - PHOTOGRAPHS)
        share = torch.where(photo, PHOTOGRAPHS / photo.sum(), drawn / drawn.sum())
        self._weights = share.to(device)
        self._images = pictures["images"].to(device)

    def draw(self, size: int, generator: Generator) -> Tensor:
        """(size, 3, 64, 64) in [-1, 1]."""
        picked = torch.multinomial(self._weights, size, replacement=True, generator=generator)
        return crops(self._images[picked], SIDE, generator)


@torch.inference_mode()
def report(model: nn.Module, unseen: Tensor, references: Tensor) -> tuple[dict[str, float], Image]:
    """What it keeps of held-out pictures and of the references, and some of each decoded."""
    assert isinstance(model, NoisyAutoencoder)
    kept = []
    for x in (unseen, references):
        parts = [model.vae.decoder(model.vae.encoder(part)) for part in torch.split(x, 16)]
        kept.append(torch.cat(parts).clamp(-1, 1))
    figures = {
        "psnr_held_out": psnr(unseen, kept[0]).mean().item(),
        "psnr_references": psnr(references, kept[1]).mean().item(),
    }
    shown = [unseen[:8], kept[0][:8], references[:8], kept[1][:8]]
    return figures, tiled(torch.cat(shown).cpu())


def main() -> None:
    """Train, going on where the last run stopped."""
    recipe, chosen = read_options(__doc__, RECIPE)
    pictures = styles.load(chosen.cache)
    cut = Crops(pictures, chosen.device)
    out = pictures["held_out"] & (pictures["style"] == 0)
    unseen = resized(pictures["images"][out], data.SIDE).to(chosen.device)
    files = sorted(REFERENCES.glob("*.png"))
    size = (data.SIDE, data.SIDE)
    references = torch.cat([to_tensor(fit_to(read_image(f), size)) for f in files])

    def loss(model: nn.Module, size: int, generator: Generator) -> Tensor:
        image = cut.draw(size, generator).contiguous(memory_format=torch.channels_last)
        shape = (size, LATENT_CHANNELS, SIDE // 8, SIDE // 8)
        noise = torch.randn(shape, generator=generator, device=generator.device)
        decoded, z = model(image, noise)
        penalty = LATENT_PENALTY * z.square().mean() + COLOUR_WEIGHT * colour_error(z, image)
        error: Tensor = distance(decoded, image) + penalty
        return error

    references = references.to(chosen.device)
    train(build(), loss, recipe, chosen, lambda ema: report(ema, unseen, references))


if __name__ == "__main__":
    main()
