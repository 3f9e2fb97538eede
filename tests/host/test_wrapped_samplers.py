"""A sampler that another pack has wrapped does as it does alone."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor


def in_a_function(sampler: Any) -> Any:
    """Without functools.wraps: no name tells what is inside."""
    function = sampler.sampler_function

    def steps(model: Any, x: Tensor, sigmas: Tensor, **options: Any) -> Tensor:
        return function(model, x, sigmas, **options)

    return type(sampler)(steps, sampler.extra_options, sampler.inpaint_options)


def in_a_partial(sampler: Any) -> Any:
    function = functools.partial(sampler.sampler_function, **sampler.extra_options)
    return type(sampler)(function, {}, sampler.inpaint_options)


def in_its_options(sampler: Any) -> Any:
    """As Detail-Daemon does: the sampler is an option, and the denoiser is wrapped too."""

    def steps(
        model: Any, x: Tensor, sigmas: Tensor, *, wrapped: Any, amount: float, **options: Any
    ) -> Tensor:
        def denoiser(x: Tensor, sigma: Tensor, **extra_args: Any) -> Tensor:
            return model(x, sigma * amount, **extra_args)

        # Samplers ask the denoiser about the model.
        for name in ("inner_model", "sigmas"):
            if hasattr(model, name):
                setattr(denoiser, name, getattr(model, name))
        return wrapped.sampler_function(denoiser, x, sigmas, **options, **wrapped.extra_options)

    options = {"wrapped": sampler, "amount": 1.0}
    return type(sampler)(steps, options, sampler.inpaint_options)


def sampled(model: Any, sampler: Any) -> Tensor:
    import comfy.sample
    import comfy.samplers
    import mixture

    latent, cond = torch.zeros(mixture.SHAPE), mixture.conditioning()
    sigmas = comfy.samplers.calculate_sigmas(model.model.model_sampling, "normal", 12)
    noise = comfy.sample.prepare_noise(latent, 7)
    return comfy.sample.sample_custom(
        model, noise, 1.0, sampler, sigmas, cond, cond, latent, disable_pbar=True, seed=7
    )


def check_wrapped(pack: ModuleType, wrap: Callable[[Any], Any], form: str, name: str) -> None:
    import comfy.samplers
    import graph
    import mixture

    guided = graph.applied(pack, mixture.mixture(form), mixture.draw(4) / 0.8)
    sampler = comfy.samplers.sampler_object(name)
    alone, wrapped = (sampled(guided, one) for one in (sampler, wrap(sampler)))
    assert torch.equal(alone, wrapped)


@pytest.mark.parametrize("form", ["eps", "flow"])
def test_every_sampler_in_a_function_does_as_it_does_alone(
    pack: ModuleType, form: str, sampler_name: str
) -> None:
    check_wrapped(pack, in_a_function, form, sampler_name)


@pytest.mark.parametrize("form", ["eps", "flow"])
@pytest.mark.parametrize("wrap", [in_a_partial, in_its_options])
@pytest.mark.parametrize(
    "name", ["euler", "uni_pc", "sa_solver", "heun", "dpm_fast", "dpmpp_2s_ancestral_cfg_pp"]
)
def test_a_sampler_in_other_wrappings_does_as_it_does_alone(
    pack: ModuleType, wrap: Callable[[Any], Any], form: str, name: str
) -> None:
    check_wrapped(pack, wrap, form, name)


@pytest.mark.parametrize(
    "name", ["uni_pc", "uni_pc_bh2", "sa_solver", "heun", "dpm_2", "dpm_2_ancestral", "dpm_fast"]
)
@pytest.mark.parametrize("flow", [False, True])
def test_samplers_that_cannot_go_on_with_an_edited_state_are_found(
    pack: ModuleType, name: str, flow: bool
) -> None:
    assert not tried(pack, name, flow).keeps_state


@pytest.mark.parametrize("name", ["euler", "heunpp2", "lcm", "dpmpp_2s_ancestral", "ipndm", "ddpm"])
@pytest.mark.parametrize("flow", [False, True])
def test_samplers_that_go_on_with_an_edited_state_are_found(
    pack: ModuleType, name: str, flow: bool
) -> None:
    """Trial states (2s), older slopes (ipndm) and forgetting the state (lcm) do no harm."""
    assert tried(pack, name, flow).keeps_state


@pytest.mark.parametrize("flow", [False, True])
def test_a_sampler_off_its_level_is_found(pack: ModuleType, flow: bool) -> None:
    assert tried(pack, "dpmpp_2s_ancestral_cfg_pp", flow).at_its_level != flow
    assert tried(pack, "dpmpp_2s_ancestral", flow).at_its_level


def tried(pack: ModuleType, name: str, flow: bool) -> Any:
    import comfy.samplers
    import mixture

    model = mixture.mixture("flow" if flow else "eps")
    guider = comfy.samplers.CFGGuider(model)
    guider.inner_model = model.model
    sampler = comfy.samplers.sampler_object(name)
    trial = importlib.import_module(".nodes.trial", pack.__name__)
    return trial.conduct(
        sampler.sampler_function, sampler.extra_options, guider, ndim=4, flow=flow
    )  # fmt: skip


def test_trying_out_leaves_no_trace(pack: ModuleType) -> None:
    """The random numbers of the process and the sampler's options are as before."""
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    tried(pack, "euler", False)
    tried(pack, "dpmpp_sde", True)
    assert torch.equal(torch.rand(3), wanted)


def test_a_sampler_that_cannot_be_tried_out_runs(pack: ModuleType) -> None:
    import comfy.samplers
    import graph
    import mixture

    euler = comfy.samplers.sampler_object("euler")

    def only_full_size(model: Any, x: Tensor, sigmas: Tensor, **options: Any) -> Tensor:
        if x.shape != mixture.SHAPE:
            raise ValueError("not my size")
        return euler.sampler_function(model, x, sigmas, **options)

    guided = graph.applied(pack, mixture.mixture("eps"), mixture.draw(4) / 0.8)
    out = sampled(guided, comfy.samplers.KSAMPLER(only_full_size))
    assert torch.equal(out, sampled(guided, euler))
