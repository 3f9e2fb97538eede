"""guided-diffusion's own sampler, with its learned variance, as SAMPLER and SIGMAS.

x      ComfyUI's state, x_t / sqrt(a_bar)        a_bar   1 / (1 + sigma^2)
x_t    guided-diffusion's state                  z       the sampler's noise
"""

from __future__ import annotations

from typing import Any

import comfy.samplers
import torch
from comfy_api.latest import io
from torch import Tensor
from tqdm.auto import trange

from ...ilvr_latent import InputError, SeededNoise
from ...ilvr_latent.diffusion.reverse import Transition, transitions
from ...ilvr_latent.diffusion.samplers import SAMPLERS, Mean, chosen_sampler
from ...ilvr_latent.diffusion.schedule import alphas_cumprod, chosen_timesteps
from ...ilvr_latent.errors import about
from ..node import Node
from ..schema import fraction, schema
from .adm_model import OPTIONS, REPLACED, ADMModel, ADMOptions

# The host draws x_T from the seed itself, and z must not repeat it.
SEED_OFFSET = 0x41444D


class ILVRADMSampler(Node):
    """The sampler of the paper."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRADMSampler",
            search_aliases=["guided-diffusion", "ddpm", "ddim", "learned variance"],
            display_name="ADM Sampler",
            category="ILVR",
            description=(
                "guided-diffusion's own sampler, which uses the variance that the network has "
                "learned. For SamplerCustom, with ADM Schedule."
            ),
            inputs=[
                io.Combo.Input(
                    "sampler",
                    options=list(SAMPLERS),
                    default="ddpm",
                    tooltip="ddpm is the paper's. ddim needs fewer steps. dpmpp_2m and unipc are "
                    "solvers of second order.",
                ),
                fraction(
                    "eta",
                    0.0,
                    step=0.01,
                    tooltip="Noise of ddim: 0 = none, the same picture for the same start; "
                    "1 = as much as ddpm. No effect on the others.",
                ),
                io.Boolean.Input(
                    "clip_denoised",
                    default=True,
                    tooltip="Keep the model's guess of the picture in the range of a picture. "
                    "Off, colours may burn out.",
                ),
            ],
            outputs=[io.Sampler.Output(tooltip="For SamplerCustom.")],
        )

    @classmethod
    def execute(cls, sampler: str, eta: float, clip_denoised: bool) -> io.NodeOutput:
        """The settings around :func:`sample_adm`.

        Raises:
            InputError: there is no such sampler.
        """
        options = {"sampler": sampler, "eta": eta, "clip_denoised": clip_denoised}
        return io.NodeOutput(comfy.samplers.KSAMPLER(sample_adm, options))


class ILVRADMSchedule(Node):
    """guided-diffusion's respacing."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRADMSchedule",
            search_aliases=["guided-diffusion", "respacing", "sigmas", "scheduler"],
            display_name="ADM Schedule",
            category="ILVR",
            description="The timesteps that guided-diffusion would visit, for SamplerCustom.",
            inputs=[
                io.Model.Input("model", tooltip="From Load ADM Checkpoint."),
                io.String.Input(
                    "respacing",
                    default="100",
                    tooltip="How many steps: a number, 'early20' (twenty, most of them where there "
                    "is much noise), 'ddim50', or counts for equal parts of the schedule, the "
                    "least noisy first: '10,10,5'.",
                ),
            ],
            outputs=[io.Sigmas.Output(tooltip="For SamplerCustom.")],
        )

    @classmethod
    def execute(cls, model: Any, respacing: str) -> io.NodeOutput:
        """The noise levels of the timesteps, and 0.

        Raises:
            InputError: not an ADM model, or the respacing cannot be read.
        """
        config = _adm(model.model).config
        with about("respacing"):
            a_bar = alphas_cumprod(config.noise_schedule, config.diffusion_steps)
            timesteps = chosen_timesteps(a_bar, respacing)[::-1]
        sigmas = model.get_model_object("model_sampling").sigmas[timesteps]
        return io.NodeOutput(torch.cat([sigmas.cpu(), torch.zeros(1)]))


def _adm(model: Any) -> ADMModel:
    if not isinstance(model, ADMModel):
        raise InputError(
            "ADM Sampler and ADM Schedule work with models of Load ADM Checkpoint; for this one "
            "use the ordinary KSampler."
        )
    return model


def sample_adm(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
    *,
    sampler: str = "ddpm",
    eta: float = 0.0,
    clip_denoised: bool = True,
) -> Tensor:
    """A sampler as the host calls them: (state, noise levels) to the finished latent.

    Args:
        model: the denoiser.
        x: the state at the first noise level.
        sigmas: descending, 0 at the end.
        extra_args: for the denoiser.
        callback: told of every step.
        disable: no progress bar.
        sampler: a name in the core's table.
        eta: noise of DDIM.
        clip_denoised: clamp the estimate of the picture.

    Raises:
        InputError: the model is not from Load ADM Checkpoint.
    """
    extra_args = extra_args or {}
    config = _adm(model.inner_model.inner_model).config
    options = ADMOptions(clip_denoised)
    extra_args = {**extra_args, "model_options": _with_options(extra_args, options)}
    noise = SeededNoise((extra_args.get("seed") or 0) + SEED_OFFSET, x.device)
    a_bar = _exact_a_bar(model.inner_model.inner_model, sigmas)
    reverse = chosen_sampler(sampler, config, eta=eta).begin()
    steps: list[Transition] = transitions(_Levels(a_bar))
    for i in trange(len(steps), disable=disable):
        step = steps[i]
        sigma = sigmas[i] * x.new_ones(len(x))
        denoised = model(x, sigma, **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "denoised": denoised})
        x_t, z = x * step.a_bar**0.5, noise.step(i, x.shape).to(x)
        # With a negative prompt both halves were given the same label: one is enough.
        learned = None if options.learned is None else options.learned[: len(x)]
        mean = mean_of_guides(model, x_t, denoised, sigma)
        x_t = reverse.step(denoised, x_t, z, step, learned, mean)
        x = x_t / step.a_bar_prev**0.5
    return x


# Read by the driver of guides.
sample_adm.asks_guides_for_the_mean = True  # type: ignore[attr-defined]


def mean_of_guides(model: Any, x_t: Tensor, x_0: Tensor, sigma: Tensor) -> Mean | None:
    """What guides make of a posterior mean, where the MODEL has any."""
    guided_mean = getattr(model, "guided_mean", None)
    if guided_mean is None:
        return None
    return lambda mu, variance: guided_mean(mu, variance, x_t, x_0, sigma)


class _Levels:
    """The a_bar of a run, as :func:`transitions` reads a schedule; ends at 1 if sigma does at 0."""

    def __init__(self, a_bar: list[float]) -> None:
        self._all = a_bar
        self.a_bar = tuple(a_bar[:-1])

    def a_bar_next(self, index: int) -> float:
        return self._all[index + 1]


def _with_options(extra_args: dict[str, Any], options: ADMOptions) -> dict[str, Any]:
    """The run's options with ours; what belongs to others is not touched."""
    model_options = dict(extra_args.get("model_options", {}))
    given = model_options.get("transformer_options", {})
    options.replaced = given.get(REPLACED, {})
    model_options["transformer_options"] = {**given, OPTIONS: options}
    return model_options


def _exact_a_bar(model: ADMModel, sigmas: Tensor) -> list[float]:
    """alpha-bar in float64: from the schedule where a sigma is one of its levels."""
    table = alphas_cumprod(model.config.noise_schedule, model.config.diffusion_steps)
    levels = ((1 - table) / table).sqrt()
    a_bar = []
    for sigma in sigmas.tolist():
        nearest = int((levels - sigma).abs().argmin())
        on_grid = abs(float(levels[nearest]) - sigma) <= 1e-5 * sigma
        a_bar.append(float(table[nearest]) if on_grid else 1 / (1 + sigma**2))
    return a_bar
