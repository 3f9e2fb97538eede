"""Perturbed-attention guidance of ADM networks: no training, no class, no second network.

Donghoon Ahn et al., "Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance",
arXiv 2403.17377.

    eps_hat    the network whose middle attention lets each place see itself only (the values)
    eps + s (eps - eps_hat)

The same holds of v and x_0, of which eps is a linear function. It is away from pictures whose parts
do not belong together: objects become whole and smooth, and fewer kinds of them are drawn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..errors import InputError
from .layers import Attend
from .unet import ADM, ADMUNet

MOST = 100.0


def see_itself(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention whose weights are the identity."""
    return v


class PerturbedUNet(ADMUNet):
    """A network and its perturbed self in one run, which share the way down.

    Args:
        unet: the network, whose layers it shares.
        scale: s.
    """

    def __init__(self, unet: ADMUNet, scale: float) -> None:
        nn.Module.__init__(self)
        self.config, self.scale = unet.config, scale
        for name, layers in unet.named_children():
            self.add_module(name, layers)
        self.train(unet.training)

    def forward(
        self, x: Tensor, t: Tensor, y: Tensor | None = None, *, attend: Attend | None = None
    ) -> Tensor:
        """See :meth:`.unet.ADMUNet.forward`; the variance channels are those of the network."""
        embedding = self.embedding(x, t, y)
        h, skipped = self.down(x, embedding)
        middles = [self.middle(h, embedding, how) for how in (attend, see_itself)]
        twice = [torch.cat([handed_on, handed_on]) for handed_on in skipped]
        both = self.up(torch.cat(middles), twice, torch.cat([embedding, embedding]))
        out, perturbed = both.float().chunk(2)
        channels = out.shape[1] // (2 if self.config.learn_sigma else 1)
        guided = out[:, :channels] + self.scale * (out - perturbed)[:, :channels]
        return torch.cat([guided, out[:, channels:]], dim=1)


def with_perturbed_attention(model: ADM, scale: float = 2.0) -> ADM:
    """The same model, guided away from itself without attention (arXiv 2403.17377).

    A call takes 1.6 to 2 times as long. Whatever else guides a run, references included, goes on
    top.

    Args:
        model: which stays as it is; both share their weights.
        scale: s, 0 (off) to 100; 1 to 3 is usual.

    Returns:
        A model for every sampler and guide.

    Raises:
        InputError: the scale is none.
    """
    if not math.isfinite(scale) or not 0 <= scale <= MOST:
        raise InputError(
            f"The scale of perturbed attention is {scale:g}; use 0 (off) to {MOST:g}, such as 2."
        )
    if scale == 0:
        return model
    guided = ADM(PerturbedUNet(model.unet, scale), model.config)
    # The weights are there; what is not shared must not be fetched at every call.
    return guided.to(model.device).train(model.training)
