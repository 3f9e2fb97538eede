"""Our ADM network inside ComfyUI's model: state, timestep and class in, estimate of x_0 out.

sigma = sqrt((1 - a_bar) / a_bar)      ComfyUI's noise level of guided-diffusion's timestep t
x = x_t / sqrt(a_bar)                  ComfyUI's state
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.model_sampling
import comfy.supported_models_base
import torch
from einops import rearrange
from torch import Tensor, nn

from ...ilvr_latent import InputError, load_adm
from ...ilvr_latent.adm import ADMConfig
from ...ilvr_latent.diffusion.schedule import alphas_cumprod

if TYPE_CHECKING:
    from ...ilvr_latent.adm.layers import Attend
    from ...ilvr_latent.adm.unet import ADM

# The key of the class label in a conditioning.
CLASS_LABEL = "ilvr_adm_class"

# The key of :class:`ADMOptions` in the options that a sampler gives to the network.
OPTIONS = "ilvr_adm"

# Where the host's nodes leave their own attention, and under what name that in the middle: the
# block, or its first layer.
REPLACED = "patches_replace"
MIDDLE = (("middle", 0), ("middle", 0, 0))

PARAMETRISATIONS = {
    "epsilon": comfy.model_sampling.EPS,
    "v_prediction": comfy.model_sampling.V_PREDICTION,
    "sample": comfy.model_sampling.X0,
}


class Pixels(comfy.latent_formats.LatentFormat):
    """Latents that are pixels, in [-1, 1]; previews show them as they are."""

    latent_channels = 3
    spacial_downscale_ratio = 1

    def __init__(self) -> None:
        self.latent_rgb_factors = torch.eye(3).tolist()


@dataclass(eq=False)
class ADMOptions:
    """What guided-diffusion's own sampler and the network tell each other during a run.

    Attributes:
        clip_denoised: clamp the estimate of the picture to [-1, 1].
        learned: the variance channels of the last call, (B, C, H, W) in [-1, 1].
        replaced: what stood in place of the network's attention when the run began.
    """

    clip_denoised: bool = True
    learned: Tensor | None = None
    replaced: dict[str, Any] = field(default_factory=dict)

    def is_own(self, options: dict[str, Any]) -> bool:
        """Whether a call is the sampler's: guidance asks with another attention in between.

        Args:
            options: of the host, for the network.
        """
        return options.get(REPLACED, {}) == self.replaced


class _Supported(comfy.supported_models_base.BASE):
    """What ComfyUI keeps about a kind of model."""

    latent_format = Pixels
    # About 60 feature maps of fp32 at full resolution.
    memory_usage_factor = 0.03
    sampling_settings = {  # noqa: RUF012
        "beta_schedule": "sqrt_linear",
        "linear_start": 1e-4,
        "linear_end": 0.02,
    }


class _Network(nn.Module):
    """ADM with the arguments that ComfyUI gives to every network."""

    adm: ADM

    def __init__(self, adm: ADM) -> None:
        super().__init__()
        self.adm = adm

    @property
    def dtype(self) -> torch.dtype:
        return self.adm.dtype

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor | None = None,
        y: Tensor | None = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        # The host asks in its own operations, of which this network has none.
        comfy.model_management.throw_exception_if_processing_interrupted()
        options = transformer_options or {}
        out = self.adm(x, timesteps, y, attend=_replaced_attention(options))
        asked_for = options.get(OPTIONS)
        learns = self.adm.config.learn_sigma
        if learns and asked_for is not None and asked_for.is_own(options):
            asked_for.learned = out[:, x.shape[1] :]
        return out[:, : x.shape[1]]


def _replaced_attention(options: dict[str, Any]) -> Attend | None:
    """What the host's nodes put in place of the self-attention in the middle, where they do.

    Perturbed-Attention Guidance and Self-Attention Guidance are such nodes.
    """
    replaced = options.get(REPLACED, {}).get("attn1", {})
    patch = next((replaced[place] for place in MIDDLE if place in replaced), None)
    if patch is None:
        return None

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads, width = q.shape[1], q.shape[-1]
        own = {"n_heads": heads, "dim_head": width, "attn_precision": None, "block": MIDDLE[0]}
        merged = (rearrange(part, "b h n c -> b n (h c)") for part in (q, k, v))
        return rearrange(patch(*merged, {**options, **own}), "b n (h c) -> b h n c", h=heads)

    return attend


class ADMModel(comfy.model_base.BaseModel):
    """An ADM checkpoint as a ComfyUI model.

    Args:
        adm: the network, from :func:`load_adm`.
    """

    def __init__(self, adm: ADM) -> None:
        supported = _Supported({"disable_unet_model_creation": True})
        super().__init__(supported, comfy.model_base.ModelType.EPS)
        self.config: ADMConfig = adm.config
        self.diffusion_model = _Network(adm)
        self.model_sampling = _model_sampling(adm.config, supported)
        # Along a side, in pixels; says that this is a pixel model.
        self.trained_size = adm.config.image_size

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        """The class label, checked before sampling begins."""
        self._check_size(kwargs["noise"])
        out = super().extra_conds(**kwargs)
        label, classes = kwargs.get(CLASS_LABEL), self.config.num_classes
        if classes is None and label is not None:
            raise InputError(
                f"The class label is {label}, but this model knows no classes; use -1."
            )
        if classes is not None:
            if label is None or not 0 <= label < classes:
                raise InputError(
                    f"This model draws {classes} classes; give a label from 0 to {classes - 1} "
                    "with ADM Class Label."
                )
            out["y"] = comfy.conds.CONDRegular(torch.tensor([label], dtype=torch.int64))
        return out

    def _check_size(self, noise: Tensor) -> None:
        height, width = noise.shape[-2:]
        if height % self.config.downscale or width % self.config.downscale:
            raise InputError(
                f"The latent is {width}x{height} pixels, but this model needs sides that are a "
                f"multiple of {self.config.downscale}; use Empty Pixel Latent."
            )


def _model_sampling(config: ADMConfig, supported: Any) -> nn.Module:
    """Noise levels from guided-diffusion's own schedule, and what the network's output means."""

    bases = (
        comfy.model_sampling.ModelSamplingDiscrete,
        PARAMETRISATIONS[config.prediction_type],
    )
    sampling = type("ModelSampling", bases, {})(supported)
    a_bar = alphas_cumprod(config.noise_schedule, config.diffusion_steps)
    sampling.set_sigmas(((1 - a_bar) / a_bar).sqrt())
    sampling.num_timesteps = config.diffusion_steps
    return sampling


def adm_model(path: str, **flags: Any) -> comfy.model_patcher.ModelPatcher:
    """Load a checkpoint as a MODEL that clamps its estimate of the picture to [-1, 1].

    Args:
        path: of the checkpoint.
        **flags: guided-diffusion's, where file and table do not tell.

    Raises:
        InputError: the file cannot be used, or flags are missing.
    """
    offload = comfy.model_management.unet_offload_device()
    adm = load_adm(path, device=offload, **flags)
    if adm.config.super_resolution:
        raise InputError(
            f"'{path}' is a super-resolution model, which needs a small picture beside the noise; "
            "load a base model."
        )
    device = comfy.model_management.get_torch_device()
    model = comfy.model_patcher.ModelPatcher(ADMModel(adm), device, offload)
    model.set_model_sampler_post_cfg_function(_clip_denoised)
    return model


def _clip_denoised(args: dict[str, Any]) -> Tensor:
    """guided-diffusion's own clamp: without it the errors of few steps grow."""
    options = args["model_options"].get("transformer_options", {}).get(OPTIONS)
    if options is not None and not options.clip_denoised:
        return args["denoised"]
    return args["denoised"].clamp(-1, 1)
