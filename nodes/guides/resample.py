"""RePaint's resampling (arXiv 2201.09865) around any sampler of the host.

    x       the sampler's state, alpha x_0 + sigma eps: alpha is 1, or 1 - sigma for flow models
    level   0 the first noise level of the SIGMAS, counted downwards

The sampler is run over stretches of the SIGMAS. Between two of them the state is noised again, up
to the level that the next one begins with.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import comfy.samplers
import torch
from comfy_api.latest import io
from torch import Tensor
from tqdm.auto import tqdm

from ...ilvr_latent import InputError, Resampling, SeededNoise
from ...ilvr_latent.diffusion.resampling import renoised
from ..node import Node
from ..schema import schema

SamplerFunction = Callable[..., Tensor]
# Samplers seed their own noise anew in every stretch; the jumps must repeat none of it.
JUMP_SEED, STRETCH_SEED = 0x5245504149, 0x9E3779B9


class ILVRResample(Node):
    """A SAMPLER that goes back and takes steps again."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Ids and input names are a promise: workflows rely on them."""
        return schema(
            node_id="ILVRResample",
            search_aliases=["RePaint", "inpainting", "jumps", "time travel", "harmonize"],
            display_name="ILVR Resample (RePaint)",
            category="ILVR",
            description=(
                "For inpainting: makes a sampler go back a few steps again and again, so that "
                "what it invents comes to agree with what is known. Takes a multiple of the time."
            ),
            inputs=[
                io.Sampler.Input(
                    "sampler",
                    tooltip="The sampler to use, from KSamplerSelect or a node of its own. It "
                    "begins anew after every jump.",
                ),
                io.Int.Input(
                    "jump_length",
                    default=5,
                    min=1,
                    max=1000,
                    tooltip="How many steps a jump goes back, and how often there is one. Must "
                    "be fewer than the steps. Longer ones can change larger things.",
                ),
                io.Int.Input(
                    "jump_n_sample",
                    default=4,
                    min=1,
                    max=100,
                    tooltip="How often these steps are taken in all. 1 is without jumps, 2 takes "
                    "about twice the time, 4 about four times. The paper has 10.",
                ),
            ],
            outputs=[io.Sampler.Output(tooltip="For SamplerCustom or SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, sampler: Any, jump_length: int, jump_n_sample: int) -> io.NodeOutput:
        """The sampler in another, which runs it.

        Raises:
            InputError: the sampler cannot be run over a part of the SIGMAS.
        """
        if getattr(sampler, "sampler_function", None) is None:
            raise InputError(
                "This sampler is of a kind that cannot be stopped and begun again; choose one "
                "with KSamplerSelect."
            )
        return io.NodeOutput(ResampledSampler(sampler, Resampling(jump_length, jump_n_sample)))


class ResampledSampler(comfy.samplers.KSAMPLER):
    """A sampler of the host that is run over stretches.

    Args:
        sampler: stays as it is.
        resampling: the jumps.
    """

    def __init__(self, sampler: Any, resampling: Resampling) -> None:
        function = resampled(sampler.sampler_function, resampling)
        super().__init__(function, sampler.extra_options, sampler.inpaint_options)
        self._resampling = resampling

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """As the host does, but the progress bar counts every step that is taken."""
        told = callback
        if callback is not None and len(sigmas) > 1:
            calls = self._resampling.calls(len(sigmas) - 1)

            def told(step: int, x_0: Tensor, x: Tensor, total: int) -> None:
                callback(step, x_0, x, calls)

        return super().sample(model_wrap, sigmas, extra_args, told, *args, **kwargs)


def resampled(function: SamplerFunction, resampling: Resampling) -> SamplerFunction:
    """A sampler function that goes back; without a jump it is ``function``, bit for bit.

    Args:
        function: (model, state, SIGMAS) to the state at the last noise level.
        resampling: the jumps.
    """

    # Under its own name: some samplers are treated in their own way.
    @functools.wraps(function)
    def sampler_function(
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Any = None,
        disable: bool | None = None,
        **options: Any,
    ) -> Tensor:
        extra_args = extra_args or {}
        steps = len(sigmas) - 1
        stretches = resampling.stretches(steps) if steps > 0 else ((0, 0),)
        if len(stretches) == 1:
            return function(
                model, x, sigmas, extra_args=extra_args, callback=callback, disable=disable,
                **options,
            )  # fmt: skip
        levels = _levels(model, sigmas, x.ndim)
        noise = SeededNoise((extra_args.get("seed") or 0) + JUMP_SEED, x.device)
        done = level = 0
        with tqdm(total=resampling.calls(steps), disable=disable) as bar:

            def report(info: dict[str, Any]) -> None:
                bar.update()
                if callback is not None:
                    callback({**info, "i": done + info["i"]})

            for number, (first, last) in enumerate(stretches):
                if number > 0:
                    eps = noise.jump(number - 1, x.shape).to(x)
                    x = renoised(x, levels[level], levels[first], eps)
                    _announce_jump(model, level - first)
                x = function(
                    model, x, sigmas[first : last + 1].clone(),
                    extra_args=_reseeded(extra_args, number), callback=report, disable=True,
                    **options,
                )  # fmt: skip
                done, level = done + last - first, last
        return x

    return sampler_function


def _levels(model: Any, sigmas: Tensor, ndim: int) -> list[tuple[float, float]]:
    """Alpha and sigma of the state at each noise level: what the host does to 1 and 0.

    Raises:
        InputError: the noise levels rise somewhere, or the model has no noise in its state.
    """
    if bool((sigmas.diff() > 0).any()):
        raise InputError(
            "ILVR Resample samples from noise to picture, but these SIGMAS rise; unplug it here."
        )
    model_sampling = model.inner_model.inner_model.model_sampling
    zero, one = (torch.full([1] * ndim, value, device=sigmas.device) for value in (0.0, 1.0))
    levels = [
        tuple(
            float(model_sampling.noise_scaling(sigma, eps, x_0.clone()))
            for eps, x_0 in ((zero.clone(), one), (one.clone(), zero))
        )
        for sigma in sigmas
    ]
    if levels[0][1] == 0:
        raise InputError(
            "This model starts from a picture and not from noise, so it has nothing to go back "
            "to; unplug ILVR Resample."
        )
    return [(alpha, sigma) for alpha, sigma in levels]


def _announce_jump(model: Any, steps: int) -> None:
    """Tell ILVR Apply, if it is there, that these steps are taken again."""
    go_back = getattr(model, "go_back", None)
    if go_back is not None:
        go_back(steps)


def _reseeded(extra_args: dict[str, Any], stretch: int) -> dict[str, Any]:
    """The sampler's own seed for its first stretch, and another one for each that follows."""
    if stretch == 0 or extra_args.get("seed") is None:
        return extra_args
    return {**extra_args, "seed": (extra_args["seed"] + stretch * STRETCH_SEED) % 2**63}
