"""What a network that sees patches must not draw: a pattern with the period of the patch.

Where p x p pixels are the channels of one place (``patch`` of the configuration), an error of one
channel is the same dot in every patch: a grid over the picture. Pictures hold nearly none of it,
so it is taken out of the estimate of x_0. With P the part that repeats with the patch,

    x_0  without  P x_0     is, in what the network gives,
    v    without  P v    plus  alpha / sigma P x_t
    eps  without  P eps  plus      1 / sigma P x_t

(x_0 = alpha x_t - sigma v = (x_t - sigma eps) / alpha; ours, in no paper).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..diffusion.schedule import alphas_cumprod
from .config import ADMConfig


def repeated(x: Tensor, patch: int) -> Tensor:
    """P x: how much every place of a patch is, on average over the patches, off the mean.

    Args:
        x: pictures, (B, C, H, W).
        patch: side of a patch in pixels, of which H and W are multiples.

    Returns:
        The same for every patch, with mean 0, (B, C, H, W).
    """
    height, width = x.shape[-2:]
    means = F.pixel_unshuffle(x, patch).mean((-2, -1), keepdim=True)
    one = F.pixel_shuffle(means, patch)
    one = one - one.mean((-2, -1), keepdim=True)
    return one.repeat(1, 1, height // patch, width // patch)


def weights_of_state(config: ADMConfig) -> Tensor:
    """What P x_t is multiplied by at every timestep so that P x_0 is 0, fp32 (diffusion_steps,)."""
    a_bar = alphas_cumprod(config.noise_schedule, config.diffusion_steps)
    alpha, sigma = a_bar.sqrt(), (1 - a_bar).sqrt()
    weights = {"v_prediction": alpha / sigma, "epsilon": 1 / sigma, "sample": 0 * sigma}
    return weights[config.prediction_type].float()


def without_repeated(out: Tensor, x_t: Tensor, weight: Tensor, patch: int) -> Tensor:
    """What the network gives, for an estimate of x_0 that has no part that repeats.

    Args:
        out: of the network, (B, C, H, W), or with more channels (the variance), which stay.
        x_t: the state, (B, C, H, W).
        weight: of :func:`weights_of_state` at the timesteps of the states, (B,) or ().
        patch: side of a patch in pixels.
    """
    channels = x_t.shape[1]
    estimate = out[:, :channels]
    change = repeated(weight.reshape(-1, 1, 1, 1) * x_t.float() - estimate, patch)
    return F.pad(change, (0, 0, 0, 0, 0, out.shape[1] - channels)) + out
