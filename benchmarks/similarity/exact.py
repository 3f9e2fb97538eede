"""An exact denoiser for latents that no model here was trained for.

    x_0 ~ mean over i of N(m_i, h^2 S)      m_i   a picture         h   how far pictures vary
                                            S     covariance of channels and of frequencies
    r_i   ~ exp(-|x_t - sqrt(a) m_i|^2 / 2 (a h^2 S + 1 - a))       a   alpha-bar
    E[x_0 | x_t] = sum_i r_i (m_i + sqrt(a) h^2 S (a h^2 S + 1 - a)^{-1} (x_t - sqrt(a) m_i))

It is the best denoiser of a density estimate. With h = 0 it copies the pictures; with h = 1 and one
picture it is that of a Gaussian, which knows no things. Between the two its samples are pictures
like those of the set, with colours and surfaces of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmarks.colours.stand_in import Wiener

Repack = Callable[[Tensor], Tensor]


@dataclass
class Exact(Wiener):
    """A denoiser for :func:`ilvr_latent.diffusion.sample_with`.

    Args:
        latents: (K, C, H, W), H = W, of the pictures.
        spread: h.
    """

    spread: float = 0.5
    seen: Tensor = field(init=False)
    squares: Tensor = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.power = self.power * self.spread**2
        self.seen = self._seen(self.latents - self.mean)
        self.squares = self.seen.flatten(1).square()

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x_0 | x_t]."""
        a = self.a_bar[t].view(-1, 1, 1, 1)
        state = self._seen(x - a.sqrt() * self.mean)
        variance = a * self.power + 1 - a
        r = self._responsibilities(state, a.sqrt(), variance)
        m = (r @ self.seen.flatten(1)).view_as(state)
        gain = a.sqrt() * self.power / variance
        return self.mean + self._back(m + gain * (state - a.sqrt() * m))

    def _responsibilities(self, state: Tensor, scale: Tensor, variance: Tensor) -> Tensor:
        """r, (B, K): |x - s m|^2 less the |x|^2 that all have in common."""
        m = self.seen.flatten(1)
        products = (state / variance).flatten(1) @ m.T * scale.view(-1, 1)
        squares = variance.reciprocal().flatten(1) @ self.squares.T * scale.view(-1, 1) ** 2
        return (products - squares / 2).softmax(dim=1)


class Repacked:
    """The same model, whose cells are sampled in another arrangement.

    Args:
        inner: of the latents.
        repack: from latents to what is sampled.
        back: from there to latents.
    """

    def __init__(self, inner: Exact, repack: Repack, back: Repack) -> None:
        self.inner, self.config, self.device = inner, inner.config, inner.device
        self._repack, self._back = repack, back

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x_0 | x_t]."""
        return self._repack(self.inner(self._back(x), t))


def packed(x: Tensor) -> Tensor:
    """2 by 2 cells into the channels of one: (B, C, H, W) to (B, 4 C, H / 2, W / 2)."""
    return torch.nn.functional.pixel_unshuffle(x, 2)


def unpacked(x: Tensor) -> Tensor:
    """And back."""
    return torch.nn.functional.pixel_shuffle(x, 2)
