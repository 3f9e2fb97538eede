"""A diffusers pipeline whose network is a formula: the best denoiser of a mixture of Gaussians.

x_0 is one of three smooth pictures, equally likely, plus white noise of standard deviation SPREAD;
then E[x_0 | x_t] has a closed form. The network knows nothing of ``ilvr_latent.pipelines``: like a
trained one it is told a timestep, and finds the noise level by the convention of its family.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import diffusers
import torch
from torch import Tensor

SHAPE = (1, 4, 16, 16)
SPREAD = 0.5
# Stable Diffusion's process.
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@functools.cache
def centres() -> Tensor:
    """Three smooth pictures (3, C, H, W)."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.randn(3, SHAPE[1], 4, 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, SHAPE[-2:], mode="bicubic")


def draw(seed: int) -> Tensor:
    """A sample of the mixture itself, (1, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    return centres()[seed % 3] + SPREAD * torch.randn(SHAPE, generator=generator)


def expected_x_0(x: Tensor, alpha: float, sigma: float) -> Tensor:
    """E[x_0 | alpha x_0 + sigma eps = x], float64."""
    m, x = centres().double()[None], x.double()[:, None]
    variance = alpha**2 * SPREAD**2 + sigma**2
    distance = ((x - alpha * m) ** 2 / variance).flatten(2).sum(-1)
    p = torch.softmax(-distance / 2, dim=1).reshape(*distance.shape, 1, 1, 1)
    return (p * (m + alpha * SPREAD**2 / variance * (x - alpha * m))).sum(1)


def _discrete_output(x: Tensor, t: float, scheduler: Any, prediction: str) -> Tensor:
    """A network trained on a discrete process, told a timestep that may lie between two."""
    a_bar = scheduler.alphas_cumprod.double()
    log_kappa = 0.5 * torch.log((1 - a_bar) / a_bar)
    low = min(max(math.floor(t), 0), len(a_bar) - 2)
    kappa = math.exp(float(torch.lerp(log_kappa[low], log_kappa[low + 1], t - low)))
    alpha = 1 / math.sqrt(1 + kappa**2)
    sigma = alpha * kappa
    x_0 = expected_x_0(x, alpha, sigma)
    eps = (x.double() - alpha * x_0) / sigma
    return {"epsilon": eps, "sample": x_0, "v_prediction": alpha * eps - sigma * x_0}[prediction]


def _flow_output(x: Tensor, t: float, scheduler: Any, prediction: str) -> Tensor:
    sigma = t / 1000
    return (x.double() - expected_x_0(x, 1 - sigma, sigma)) / sigma


def _wrapped_output(x: Tensor, t: float, scheduler: Any, prediction: str) -> Tensor:
    """EDM's networks, whose input has unit variance: x_0 = c_skip x + c_out output."""
    name, data = type(scheduler).__name__, scheduler.config.sigma_data
    kappa = math.tan(t * math.pi / 2) if name.startswith("Cosine") else math.exp(4 * t)
    x = x.double() * math.sqrt(kappa**2 + data**2)
    skip = data**2 / (kappa**2 + data**2)
    out = kappa * data / math.sqrt(kappa**2 + data**2)
    output: Tensor = (expected_x_0(x, 1.0, kappa) - skip * x) / out
    return -output if prediction == "v_prediction" else output


Network = Callable[[Tensor, float, Any, str], Tensor]


class ExactPipeline:
    """The loop that diffusers' pipelines have in common, around a formula."""

    _callback_tensor_inputs = ("latents",)

    def __init__(self, scheduler: Any, network: Network, prediction: str) -> None:
        self.scheduler = scheduler
        self.network = network
        self.prediction = prediction
        self.num_timesteps = 0
        self.inputs: list[Tensor] = []

    def __call__(
        self,
        *,
        steps: int = 20,
        seed: int = 7,
        batch: int = 1,
        start: int = 0,
        image: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        callback_on_step_end: Any = None,
        **step_options: Any,
    ) -> Tensor:
        scheduler = self.scheduler
        scheduler.set_timesteps(steps)
        timesteps = scheduler.timesteps[start * scheduler.order :]
        self.num_timesteps = len(timesteps)
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(batch, *SHAPE[1:], generator=generator).to(dtype)
        if image is None:
            x = x * getattr(scheduler, "init_noise_sigma", 1.0)
        else:
            if hasattr(scheduler, "set_begin_index"):
                scheduler.set_begin_index(start * scheduler.order)
            x = scheduler.add_noise(image, x, timesteps[:1])
        taken = inspect.signature(scheduler.step).parameters
        if "generator" in taken:
            step_options["generator"] = generator
        self.inputs = []
        estimate = None
        for i, t in enumerate(timesteps):
            given = (
                scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
            )
            self.inputs.append(x)
            output = self.network(given, float(t), scheduler, self.prediction).to(x)
            if "old_pred_original_sample" in taken:
                before = timesteps[i - 1] if i else None
                given_more = (output, estimate, t, before, x)
                x, estimate = scheduler.step(*given_more, **step_options, return_dict=False)
            else:
                x = scheduler.step(output, t, x, **step_options, return_dict=False)[0]
            if callback_on_step_end is not None:
                x = callback_on_step_end(self, i, t, {"latents": x})["latents"]
        return x


DISCRETE = (
    "DDIMScheduler", "DDIMParallelScheduler", "DDPMScheduler", "DDPMParallelScheduler",
    "PNDMScheduler", "LCMScheduler", "TCDScheduler", "CogVideoXDDIMScheduler",
    "CogVideoXDPMScheduler",
    "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "LMSDiscreteScheduler",
    "HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
    "DPMSolverSDEScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler", "UniPCMultistepScheduler", "SASolverScheduler",
)  # fmt: skip
# Solvers of discrete processes that take flow models too.
BOTH = (
    "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DEISMultistepScheduler",
    "UniPCMultistepScheduler", "SASolverScheduler",
)  # fmt: skip
FLOW = (
    "FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler",
    "LTXEulerAncestralRFScheduler",
)  # fmt: skip
WRAPPED = (
    "EDMEulerScheduler", "EDMDPMSolverMultistepScheduler", "CosineDPMSolverMultistepScheduler",
)  # fmt: skip


def exact_pipeline(name: str, prediction: str = "epsilon", **config: Any) -> ExactPipeline:
    """A pipeline with a scheduler of this class, in the settings its pipelines use."""
    cls = getattr(diffusers, name)
    if prediction == "flow":
        if name in BOTH:
            settings = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
            return ExactPipeline(cls(**settings, flow_shift=3.0, **config), _flow_output, "flow")
        shift = {} if name.startswith("LTX") else {"shift": 3.0}
        return ExactPipeline(cls(**shift, **config), _flow_output, "flow")
    if name in WRAPPED:
        own = {"prediction_type": prediction, "sigma_data": 1.0}
        return ExactPipeline(cls(**own, **config), _wrapped_output, prediction)
    own = {"clip_sample": False} if "clip_sample" in inspect.signature(cls).parameters else {}
    own |= {
        "skip_prk_steps": True,
        "noise_sampler_seed": 0,
        "steps_offset": 1,
        "timestep_spacing": "leading",
    }
    settings = {**BETAS, "prediction_type": prediction, **own, **config}
    settings = {k: v for k, v in settings.items() if k in inspect.signature(cls).parameters}
    return ExactPipeline(cls(**settings), _discrete_output, prediction)


Case = tuple[str, str, dict[str, Any]]
# Settings that change what a solver does with its states.
VARIANTS: tuple[Case, ...] = (
    ("DDIMScheduler", "v_prediction", {"rescale_betas_zero_snr": True}),
    ("DDIMScheduler", "sample", {}),
    ("DDPMScheduler", "sample", {}),
    ("PNDMScheduler", "epsilon", {"skip_prk_steps": False}),
    ("EulerDiscreteScheduler", "epsilon", {"timestep_spacing": "linspace"}),
    ("EulerDiscreteScheduler", "epsilon", {"use_karras_sigmas": True}),
    ("HeunDiscreteScheduler", "epsilon", {"use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", "epsilon", {"use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", "epsilon", {"solver_order": 3}),
    ("DPMSolverMultistepScheduler", "epsilon", {"algorithm_type": "sde-dpmsolver++"}),
    ("DPMSolverSinglestepScheduler", "epsilon", {"solver_order": 3}),
    ("UniPCMultistepScheduler", "epsilon", {"solver_order": 3}),
    ("FlowMatchEulerDiscreteScheduler", "flow", {"stochastic_sampling": True}),
)


def cases() -> list[Case]:
    """Every scheduler with every kind of network that it takes, then variants.

    Some need scipy or torchsde; without those they are left out.
    """
    found = [(name, prediction) for name in DISCRETE for prediction in ("epsilon", "v_prediction")]
    found += [(name, "flow") for name in (*BOTH, *FLOW)]
    found += [(name, "epsilon") for name in WRAPPED]
    every: list[Case] = [(name, prediction, {}) for name, prediction in found] + list(VARIANTS)
    return [case for case in every if available(case[0])]


def available(name: str) -> bool:
    """Whether diffusers has the scheduler, and what the scheduler needs is installed."""
    scheduler = getattr(diffusers, name, None)
    return scheduler is not None and "dummy" not in scheduler.__module__
