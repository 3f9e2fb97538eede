"""The tiny autoencoder for latents of FLUX.2 (madebyollin/taesd, MIT), as its files have it."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

# Beside the checkout, which may be a worktree in a folder of its own.
PLACES = [parent / "shared" / "vae" for parent in Path(__file__).parents[3:]]
FOLDER = next((place for place in PLACES if place.is_dir()), PLACES[0])
WIDTH, CHANNELS = 64, 32
PIXELS_A_CELL = 16


class TinyVAE(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1] to latents (B, 128, H / 16, W / 16) and back.

    Args:
        folder: has ``taef2_encoder.safetensors`` and ``taef2_decoder.safetensors``.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__()
        self.encoder, self.decoder = _encoder(), _decoder()
        for name in ("encoder", "decoder"):
            getattr(self, name).load_state_dict(load_file(folder / f"taef2_{name}.safetensors"))
        self.requires_grad_(False).eval()

    def encode(self, x: Tensor) -> Tensor:
        """Cells of 8 pixels, four of them packed into the channels of one, as FLUX.2 samples."""
        latent: Tensor = self.encoder(x / 2 + 0.5)
        return nn.functional.pixel_unshuffle(latent, 2)

    def decode(self, latent: Tensor) -> Tensor:
        """Not clamped."""
        picture: Tensor = self.decoder(nn.functional.pixel_shuffle(latent, 2))
        return picture * 2 - 1


def is_there(folder: Path = FOLDER) -> bool:
    """The files, which are no part of the project."""
    return (folder / "taef2_decoder.safetensors").is_file()


class _Block(nn.Module):
    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv())
        self.pool = _pool() if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.pool is None else x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _Clamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


def _conv(before: int = WIDTH, after: int = WIDTH, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride, padding=1, bias=bias)


def _pool() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(WIDTH, 4 * WIDTH, 1, bias=False),
        nn.GroupNorm(4, 4 * WIDTH),
        nn.ReLU(),
        nn.Conv2d(4 * WIDTH, WIDTH, 1, bias=False),
    )


def _blocks(pooled: bool = False) -> list[nn.Module]:
    return [_Block(pooled) for _ in range(3)]


def _encoder() -> nn.Sequential:
    def down() -> nn.Module:
        return _conv(stride=2, bias=False)

    halves = [down(), *_blocks(), down(), *_blocks(), down(), *_blocks(pooled=True)]
    return nn.Sequential(_conv(3), _Block(pooled=False), *halves, _conv(after=CHANNELS))


def _decoder() -> nn.Sequential:
    def up() -> list[nn.Module]:
        return [nn.Upsample(scale_factor=2), _conv(bias=False)]

    doubles = [*_blocks(pooled=True), *up(), *_blocks(), *up(), *_blocks(), *up()]
    last = [_Block(pooled=False), _conv(after=3)]
    return nn.Sequential(_Clamp(), _conv(CHANNELS), nn.ReLU(), *doubles, *last)
