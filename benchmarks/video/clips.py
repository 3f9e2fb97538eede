"""Clips whose motion is known, a network that is right about them, and what is measured.

No video model ships, so the network is the right answer itself: E[x_0 | x_t] of a Gaussian about a
clip that moves as it should, whose deviations have a spectrum in space and in time:

    x_0 = mu + C s(f) n        mu   the clip       C   cosines in t, y, x       n   white noise
                               s    deviation at each frequency
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ilvr_latent import LowPass, SeededNoise
from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.guides.lowpass import low_pass_matrices

FRAMES, SIDE = 16, 32


@dataclass(frozen=True)
class Scene:
    """A spot that goes to and fro before a still background.

    Attributes:
        speed: of the spot down and across, in pixels per frame.
    """

    speed: tuple[float, float] = (0.5, 1.0)

    def places(self, first: int = 0, frames: int = FRAMES) -> Tensor:
        """Where the spot is in each frame, (frames, 2), in pixels, float64."""
        time = torch.arange(first, first + frames, dtype=torch.float64)
        way = torch.stack([time * v for v in self.speed], 1)
        span = SIDE / 2
        return SIDE / 4 + span - ((way % (2 * span)) - span).abs()

    def spots(self, at: Tensor) -> Tensor:
        """The spot at places (K, 2), (K, H, W) in [0, 1]."""
        pixel = torch.arange(SIDE, dtype=torch.float64)
        y, x = (-(((pixel - at[:, i, None]) / 3) ** 2) / 2 for i in (0, 1))
        return y.exp()[:, :, None] * x.exp()[:, None, :]

    def background(self) -> Tensor:
        """(3, H, W) in [-1, 1]."""
        down = torch.linspace(-0.3, 0.3, SIDE, dtype=torch.float64)[:, None]
        across = torch.linspace(0.2, -0.2, SIDE, dtype=torch.float64)
        return torch.stack([down + across, across - down, 4 * down * across])

    def with_spots(self, at: Tensor) -> Tensor:
        """The pictures with the spot at these places, (K, 3, H, W)."""
        spots, still = self.spots(at)[:, None], self.background()
        colour = torch.tensor([0.9, -0.5, -0.7], dtype=torch.float64)[:, None, None]
        return still * (1 - spots) + colour * spots

    def clip(self, first: int = 0, frames: int = FRAMES) -> Tensor:
        """As it should be, (1, 3, frames, H, W) in [-1, 1]."""
        return self.with_spots(self.places(first, frames)).transpose(0, 1)[None].float()

    def motion_error(self, clip: Tensor, first: int = 0) -> float:
        """Of the spot's way from frame to frame, root mean square, in pixels.

        It is where the picture with a spot is closest, of all places a quarter apart about the true
        one.
        """
        steps = torch.arange(-4, 4.01, 0.25, dtype=torch.float64)
        away = torch.cartesian_prod(steps, steps)
        true = self.places(first, clip.shape[2])
        found = []
        for frame, at in zip(clip[0].double().unbind(1), true, strict=True):
            wrong = (frame - self.with_spots(at + away)).square().flatten(1).sum(1)
            found.append(away[wrong.argmin()])
        return float(torch.stack(found).diff(dim=0).square().sum(1).mean().sqrt())


@dataclass(frozen=True)
class Config:
    """What the sampler asks of a network."""

    image_size: int = SIDE
    image_channels: int = 3
    noise_schedule: str = "linear"
    diffusion_steps: int = 1000
    prediction_type: str = "sample"
    learn_sigma: bool = False
    sigma_small: bool = True
    num_classes: int | None = None


@dataclass
class GaussianClips:
    """The network: its estimate of x_0 is the right one.

    Args:
        mean: (1, C, T, H, W).
        deviation: s, (T, H, W).
    """

    mean: Tensor
    deviation: Tensor
    config: Config = field(default_factory=Config)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        sizes = self.mean.shape[-3:]
        self._cosines = [low_pass_matrices(n, 1, "spectral")[0].float() for n in sizes]
        self._a_bar = alphas_cumprod(self.config.noise_schedule, self.config.diffusion_steps)
        self._power = self.deviation.float().square()

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x_0 | x_t]."""
        a = float(self._a_bar[int(t[0])])
        kept = a**0.5 * self._power / (a * self._power + 1 - a)
        away = torch.einsum("bcthw,it,jh,kw->bcijk", x - a**0.5 * self.mean, *self._cosines)
        return self.mean + torch.einsum("bcijk,it,jh,kw->bcthw", kept * away, *self._cosines)


def deviations(side: int, in_time: float, total: float = 0.25) -> Tensor:
    """s of power 1 / f^3 in space, more light and colour than grain, (FRAMES, side, side).

    Args:
        side: of a frame.
        in_time: 1: frames that know nothing of each other, as of an image model. Less: of what
            changes from frame to frame, beside what stays through a clip, as of a video model.
        total: standard deviation of a number of a frame.
    """
    f = torch.arange(side, dtype=torch.float64)
    s = (1 + f[:, None] ** 2 + f**2) ** -0.75
    of_time = torch.full((FRAMES, 1, 1), in_time, dtype=torch.float64)
    if in_time < 1:
        of_time[0] = FRAMES**0.5
    return of_time * s * total / s.square().mean().sqrt()


class AlikeNoise:
    """Noise alike from frame to frame, an AR(1) process: n_t = r n_{t-1} + sqrt(1 - r^2) e_t.

    Args:
        seed: of the clip.
        r: 0 (white) to below 1.
    """

    def __init__(self, seed: int, r: float) -> None:
        self._noise, self._r = SeededNoise(seed), r

    def _alike(self, white: Tensor) -> Tensor:
        frames = [white[:, :, 0]]
        for one in white.unbind(2)[1:]:
            frames.append(self._r * frames[-1] + (1 - self._r**2) ** 0.5 * one)
        return torch.stack(frames, 2)

    def initial(self, shape: Sequence[int]) -> Tensor:
        """x_T."""
        return self._alike(self._noise.initial(shape))

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        """z of step ``i``."""
        return self._alike(self._noise.step(i, shape))

    def reference(self, i: int, shape: Sequence[int]) -> Tensor:
        """The reference's."""
        return self._alike(self._noise.reference(i, shape))


def flicker(clip: Tensor, frames: float = 4) -> float:
    """Mean energy of all that changes within so many frames, (B, C, T, H, W)."""
    return float((clip - LowPass(1, "spectral", frames)(clip)).square().mean())
