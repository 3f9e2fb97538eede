"""A denoiser with a right answer: E[x_0 | x_sigma] of a mixture of Gaussians, in closed form.

    x = a x_0 + sigma eps,  x_0 ~ sum_k N(m_k, s^2) / K        a = 1 (eps, v) or 1 - sigma (flow)
    E[x_0 | x] = sum_k p_k(x) (m_k + a s^2 / (a^2 s^2 + sigma^2) (x - a m_k))

Wrapped as a ComfyUI MODEL that samples it in eps, v or flow form.
"""

from __future__ import annotations

from typing import Any

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sample
import comfy.supported_models_base
import torch
from torch import Tensor, nn

SHAPE = (1, 4, 16, 16)
SPREAD = 0.5
# The pictures of the other prompt, relative to those of the first.
OTHER = -0.5
FORMS = {
    "eps": comfy.model_base.ModelType.EPS,
    "v": comfy.model_base.ModelType.V_PREDICTION,
    "flow": comfy.model_base.ModelType.FLOW,
}


def means(shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Three smooth pictures (K, C, ..., H, W)."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.randn(3, shape[1], 4, 4, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, shape[-2:], mode="bicubic")
    if len(shape) == 5:
        fine = fine.unsqueeze(2).expand(-1, -1, shape[2], -1, -1)
    return fine


def draw(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """A sample of the mixture itself."""
    generator = torch.Generator().manual_seed(seed)
    return means(shape)[seed % 3] + SPREAD * torch.randn(shape, generator=generator)


def expected_x_0(x: Tensor, sigma: Tensor, a: Tensor, m: Tensor) -> Tensor:
    """The formula above; x (B, ...), sigma and a broadcastable to it, m (K, ...)."""
    sigma, a = (v.reshape(-1, *[1] * (x.ndim - 1)).double() for v in (sigma, a))
    x, m = x.double()[:, None], m.double()[None]
    a, sigma = a[:, None], sigma[:, None]
    variance = a**2 * SPREAD**2 + sigma**2
    distance = ((x - a * m) ** 2 / variance).flatten(2).sum(-1)
    p = torch.softmax(-distance / 2, dim=1).reshape(*distance.shape, *[1] * (x.ndim - 2))
    return (p * (m + a * SPREAD**2 / variance * (x - a * m))).sum(1)


class MixtureModel(comfy.model_base.BaseModel):
    """ComfyUI's model around the formula."""

    def __init__(
        self,
        form: str,
        shape: tuple[int, ...],
        latent_format: type[comfy.latent_formats.LatentFormat] | None = None,
    ) -> None:
        config = comfy.supported_models_base.BASE({"disable_unet_model_creation": True})
        if latent_format is None:
            config.latent_format.latent_channels = shape[1]
            config.latent_format.latent_dimensions = len(shape) - 2
            config.latent_format.scale_factor = 0.8
        else:
            config.latent_format = latent_format()
        super().__init__(config, FORMS[form])
        self.form, self.means = form, means(shape)
        self.diffusion_model = nn.Module()
        self.diffusion_model.dtype = torch.float32
        self.calls: list[float] = []

    def _apply_model(
        self,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        # Newer versions ask in the operations of a network, which this is none of.
        comfy.model_management.throw_exception_if_processing_interrupted()
        self.calls.append(float(t[0]))
        a = 1 - t if self.form == "flow" else torch.ones_like(t)
        x_0 = expected_x_0(x, t, a, self.means).to(x)
        if c_crossattn is not None and bool(c_crossattn.any()):
            other = expected_x_0(x, t, a, OTHER * self.means).to(x)
            x_0 = torch.where(c_crossattn.flatten(1).any(1).reshape(-1, 1, 1, 1), other, x_0)
        # As the network would say it, so that the host's own conversion is part of the run.
        sigma = t.reshape(-1, *[1] * (x.ndim - 1))
        if self.form == "v":
            output = (x / (sigma**2 + 1) - x_0) * (sigma**2 + 1) ** 0.5 / sigma
        else:
            output = (x - x_0) / sigma
        return self.model_sampling.calculate_denoised(t, output, x)


def mixture(form: str, shape: tuple[int, ...] = SHAPE) -> comfy.model_patcher.ModelPatcher:
    """A fresh MODEL."""
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(MixtureModel(form, shape), device, device)


def conditioning(prompt: int = 0) -> list[Any]:
    """What a text encoder would give; any prompt but 0 asks for the other pictures."""
    return [[torch.full((1, 1, 8), float(prompt)), {}]]


def sampled(
    model: comfy.model_patcher.ModelPatcher,
    sampler: str = "euler",
    *,
    scheduler: str = "normal",
    steps: int = 20,
    seed: int = 7,
    cfg: float = 1.0,
    latent: Tensor | None = None,
    shape: tuple[int, ...] = SHAPE,
    cond: list[Any] | None = None,
    negative: list[Any] | None = None,
    **options: Any,
) -> Tensor:
    """One run of the stock KSampler."""
    cond = conditioning() if cond is None else cond
    negative = cond if negative is None else negative
    latent = torch.zeros(shape) if latent is None else latent
    noise = comfy.sample.prepare_noise(latent, seed)
    return comfy.sample.sample(
        model, noise, steps, cfg, sampler, scheduler, cond, negative, latent,
        seed=seed, disable_pbar=True, **options,
    )  # fmt: skip
