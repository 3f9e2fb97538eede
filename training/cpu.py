"""Layers that learn fast on a CPU: torch's own group norm and attention go backward slowly there.

In bf16 a step of the pixel model takes three quarters of the time with them; most of the rest is
convolutions. In fp32 they gain nothing, and on a GPU torch's own are the faster ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers.models.attention_processor as diffusers
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ilvr_latent.adm.layers import Attention


class _Normalised(torch.autograd.Function):
    """Group norm over rows of channels: sums over places, and one multiply-add forward.

    In what follows, rows are (B, places, C), and what belongs to a channel is (B, C).
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float
    ) -> Tensor:
        mean = _group_mean(rows.sum(1, dtype=torch.float32), groups, rows.shape[1])
        square = _group_mean((rows * rows).sum(1, dtype=torch.float32), groups, rows.shape[1])
        scale = (square - mean * mean).clamp(min=0).add(eps).rsqrt()
        ctx.save_for_backward(rows, weight, mean, scale)
        ctx.groups = groups
        return _affine(rows, scale * weight, bias - mean * scale * weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, mean, scale = ctx.saved_tensors
        (gradient,) = gradients
        # With h the normalised rows: the sums of the gradient, and of the gradient times h.
        total = gradient.sum(1, dtype=torch.float32)
        along = ((gradient * rows).sum(1, dtype=torch.float32) - mean * total) * scale
        mean_total = _group_mean(total * weight, ctx.groups, rows.shape[1])
        mean_along = _group_mean(along * weight, ctx.groups, rows.shape[1])
        of_rows = -scale * scale * mean_along
        constant = -scale * mean_total - of_rows * mean
        back = _affine(gradient, scale * weight, constant)
        back.addcmul_(rows, of_rows.to(rows.dtype)[:, None])
        return back, along.sum(0), total.sum(0), None, None


def _group_mean(sums: Tensor, groups: int, places: int) -> Tensor:
    """The mean over each channel's group and all places, from sums over places, (B, C)."""
    batch, channels = sums.shape
    grouped = sums.view(batch, groups, channels // groups)
    return (grouped.mean(-1, keepdim=True) / places).expand_as(grouped).reshape(batch, channels)


def _affine(rows: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Each channel scaled and shifted, in the precision of the rows."""
    return torch.addcmul(shift.to(rows.dtype)[:, None], rows, scale.to(rows.dtype)[:, None])


class FastGroupNorm(nn.GroupNorm):
    """Group norm of maps that lie in channels_last."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        batch, channels, height, width = input.shape
        rows = input.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        out: Tensor = _Normalised.apply(rows, self.weight, self.bias, self.num_groups, self.eps)  # type: ignore[no-untyped-call]
        return out.view(batch, height, width, channels).permute(0, 3, 1, 2)


class FastAttention(Attention):
    """Attention whose weights are written out, in the precision of the rest."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values (B, heads, places, width) to the same."""
        flat = [part.flatten(0, 1) for part in (q * q.shape[-1] ** -0.5, k, v)]
        with torch.autocast("cpu", enabled=False):
            weights = torch.bmm(flat[0], flat[1].transpose(1, 2)).softmax(dim=-1)
            return torch.bmm(weights, flat[2]).view_as(q)


def multiplies_bf16() -> bool:
    """Whether this processor does so itself; where it must not, bf16 is slower than fp32."""
    features = Path("/proc/cpuinfo")
    return features.exists() and "_bf16" in features.read_text()


def fast_on_cpu(model: nn.Module) -> nn.Module:
    """The same network, its layers replaced in place by those above.

    Those of diffusers and transformers write their weights of attention out, too: a step of the
    latent model takes five eighths of the time.
    """
    for layer in model.modules():
        if type(layer) is nn.GroupNorm:
            layer.__class__ = FastGroupNorm
        elif type(layer) is Attention:
            layer.__class__ = FastAttention
        elif isinstance(layer, diffusers.Attention):
            layer.set_processor(diffusers.AttnProcessor())
        elif isinstance(layer, PreTrainedModel):
            layer.set_attn_implementation("eager")
    return model
