"""ComfyUI's sampling, opened for guidance. The only file that knows how the host samples.

A wrapper on a cloned MODEL runs the sampler that the user chose, unchanged, with a stand-in for
the denoiser it calls. The stand-in shows a guide every state before the network sees it, and
every prediction after. Nothing that is shared is changed: wrappers of other packs stay in the
chain, and an interrupted run leaves nothing behind.

    x_t    state, as the sampler holds it        y_t    reference at that noise level
    sigma  the host's noise level                eps    noise of the reference
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import comfy.patcher_extension
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..ilvr_latent import InputError

SAMPLER_SAMPLE = comfy.patcher_extension.WrappersMP.SAMPLER_SAMPLE
KEY = "ilvr"
# These compute with a copy of the state that they give to the network, and drop that copy, ...
DROP_THE_STATE = frozenset({"sample_unipc", "sample_unipc_bh2", "sample_sa_solver"})
# ... and these take a slope at a trial state: what is changed there by a share of sigma_{i+1} is in
# the next state by the same share of sigma_i, which is too much where the levels lie far apart.
SLOPE_AT_A_TRIAL_STATE = frozenset(
    {"sample_heun", "sample_dpm_2", "sample_dpm_2_ancestral", "dpm_fast_function"}
)

# Where a run keeps what looks at its predictions, and what that is.
POST_CFG = "sampler_post_cfg_function"
PostCFG = Callable[[dict[str, Any]], Tensor]
# How exactly a noise level is turned back into a fraction: to less than a timestep of a thousand.
PERCENT_BITS = 14


@dataclass(frozen=True, eq=False)
class HostStep:
    """One call of the network.

    Attributes:
        index: the step of the schedule that it belongs to, from 0 (the noisiest).
        sigma: noise level.
        noised: (y_0, eps) to y_t at this noise level, for eps, v and flow models alike.
        gone_back: steps that the run has gone back so far, see :mod:`.resample`.
    """

    index: int
    sigma: float
    noised: Callable[[Tensor, Tensor], Tensor]
    gone_back: int = 0


@dataclass(frozen=True, eq=False)
class HostRun:
    """One run of a sampler, as a guide needs to know it.

    Attributes:
        sigmas: the schedule, descending; 0 at its end where the run finishes the picture.
        shape: of the latent.
        device: where the state lives.
        seed: of the sampler.
        keeps_state: the sampler goes on, soundly, with the state that it gave to the network.
        denoise_mask: 1 where the picture may change, or ``None``.
        model: the host's ``BaseModel``.
        post_cfg: what looks at each prediction before the sampler does; the sampler may add to it.
    """

    sigmas: tuple[float, ...]
    shape: torch.Size
    device: torch.device
    seed: int
    keeps_state: bool
    denoise_mask: Tensor | None
    model: Any
    post_cfg: Sequence[PostCFG] = ()

    def sigma_at(self, percent: float) -> float:
        """The noise level at a fraction of the timesteps, 0 = before the noisiest, 1 = clean."""
        return float(self.model.model_sampling.percent_to_sigma(percent))

    def percent_at(self, sigma: float) -> float:
        """The fraction of the timesteps at a noise level: :meth:`sigma_at` turned round."""
        low, high = 0.0, 1.0
        for _ in range(PERCENT_BITS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.sigma_at(middle) > sigma else (low, middle)
        return (low + high) / 2

    def latent_in(self, latent: Tensor) -> Tensor:
        """A latent as a VAE gives it, in the scale that the model samples in."""
        return self.model.process_latent_in(latent)

    def step(self, sigma: Tensor, gone_back: int = 0) -> HostStep:
        """The step of a network call at ``sigma`` (B,), after so many steps were gone back."""
        # The one scalar that a call reads from the device.
        level = float(sigma.flatten()[0])
        reached = sum(level <= s * (1 + 1e-4) for s in self.sigmas)

        def noised(y_0: Tensor, eps: Tensor) -> Tensor:
            return self.model.model_sampling.noise_scaling(sigma, eps, y_0)

        return HostStep(max(reached - 1, 0), level, noised, gone_back)


class HostGuideRun(Protocol):
    """What a method does during one run: :class:`ilvr_latent.GuideRun` with the host's steps."""

    def state(self, x_t: Tensor, step: HostStep) -> Tensor:
        """The state, before the network sees it; x_t itself where nothing is to be done."""
        ...

    def prediction(self, x_0: Tensor, x_t: Tensor, step: HostStep) -> Tensor:
        """What the network thinks the clean picture is, with the prompt or without."""
        ...

    def end(self, x_0: Tensor) -> Tensor:
        """The finished picture; not called where the schedule leaves noise in it."""
        ...


class HostGuide(Protocol):
    """A method with its settings; one object for all runs."""

    def joined(self, other: Any) -> HostGuide:
        """Both together."""
        ...

    def begin(self, run: HostRun) -> HostGuideRun | None:
        """Prepare a run; ``None`` where nothing is to be done in it."""
        ...


def guide_of(model: ModelPatcher) -> Any:
    """The guide that a MODEL has already, or ``None``."""
    return next((wrapper.guide for wrapper in model.get_wrappers(SAMPLER_SAMPLE, KEY)), None)


def guided(model: ModelPatcher, guide: HostGuide, *, instead: bool = False) -> ModelPatcher:
    """A MODEL that samples with ``guide``, joined to the guide that the MODEL has already.

    Args:
        model: stays as it is.
        guide: the method.
        instead: in the place of the guide that the MODEL has.

    Returns:
        A clone; the weights are shared.
    """
    before = None if instead else guide_of(model)
    guide = guide if before is None else before.joined(guide)
    clone = model.clone()
    clone.remove_wrappers_with_key(SAMPLER_SAMPLE, KEY)
    clone.add_wrapper_with_key(SAMPLER_SAMPLE, KEY, _GuidedSampling(guide))
    return clone


class _GuidedSampling:
    """The wrapper: runs the sampler it is put around, with a stand-in for the denoiser."""

    def __init__(self, guide: HostGuide) -> None:
        self.guide = guide

    def __deepcopy__(self, memo: dict[int, Any]) -> _GuidedSampling:
        # The host copies options deeply and often; references are large and never changed.
        return self

    def __call__(
        self,
        executor: comfy.patcher_extension.WrapperExecutor,
        guider: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        # uni_pc overwrites the last level, and the next run of the same SIGMAS would stop early.
        sigmas = sigmas.clone()
        rest = (sigmas, extra_args, callback, noise, latent_image, denoise_mask, *args)
        sampler = executor.class_obj
        function = getattr(sampler, "sampler_function", None)
        _check_latent(noise)
        run = HostRun(
            sigmas=tuple(sigmas.tolist()),
            shape=noise.shape,
            device=noise.device,
            seed=extra_args.get("seed") or 0,
            keeps_state=getattr(function, "__name__", "")
            not in DROP_THE_STATE | SLOPE_AT_A_TRIAL_STATE,
            denoise_mask=denoise_mask,
            model=guider.inner_model,
            post_cfg=extra_args.get("model_options", {}).get(POST_CFG, ()),
        )
        guidance = self.guide.begin(run)
        if guidance is None:
            return executor(guider, *rest, **kwargs)
        if function is None:
            # A sampler of another pack that is no k-diffusion function: it calls the guider. The
            # state is edited, and it may begin as one of these.
            start = [x if x is None else x.clone() for x in (noise, latent_image)]
            stand_in = _StandIn(guider, run, guidance)
            rest = (sigmas, extra_args, callback, *start, denoise_mask, *args)
            return _end(guidance, run, executor(stand_in, *rest, **kwargs))
        # Not in place: a sampler may be an input of several nodes.
        sampler = copy.copy(sampler)
        sampler.sampler_function = _with_stand_in(function, run, guidance)
        inner = comfy.patcher_extension.WrapperExecutor.new_class_executor(
            sampler.sample, sampler, executor.wrappers, executor.idx + 1
        )
        return _end(guidance, run, inner.execute(guider, *rest, **kwargs))


def _check_latent(noise: Tensor) -> None:
    if noise.ndim not in (4, 5):
        raise InputError(
            f"ILVR works on image and video latents (4 or 5 dimensions), but this model samples "
            f"{noise.ndim} dimensions; remove ILVR Apply from this graph."
        )


def _end(guidance: HostGuideRun, run: HostRun, samples: Tensor) -> Tensor:
    return guidance.end(samples) if run.sigmas[-1] == 0 else samples


def _with_stand_in(
    function: Callable[..., Tensor], run: HostRun, guidance: HostGuideRun
) -> Callable[..., Tensor]:
    def sampler_function(model: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        # Some kinds of model start from the user's latent itself, and the state is edited.
        return function(_StandIn(model, run, guidance), x.clone(), *args, **kwargs)

    return sampler_function


class _StandIn:
    """The denoiser that the sampler calls, with the guide before and after."""

    def __init__(self, denoiser: Any, run: HostRun, guidance: HostGuideRun) -> None:
        self._denoiser = denoiser
        self._run = run
        self._guidance = guidance
        self._gone_back = 0

    def go_back(self, steps: int) -> None:
        """Told by a sampler that takes the last steps again: they are new visits."""
        self._gone_back += steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._denoiser, name)

    def __call__(self, x: Tensor, sigma: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        step = self._run.step(sigma, self._gone_back)
        refined = self._guidance.state(x, step)
        if self._run.keeps_state and refined is not x:
            # In place: the sampler's next step starts from this tensor.
            refined = x.copy_(refined)
        if "model_options" in kwargs:
            kwargs["model_options"] = self._shown(kwargs["model_options"], refined, step)
        x_0 = self._denoiser(refined, sigma, *args, **kwargs)
        return self._guidance.prediction(x_0, refined, step)

    def _shown(self, model_options: dict[str, Any], x_t: Tensor, step: HostStep) -> dict[str, Any]:
        """The options, with the guide before what the sampler itself has put there.

        CFG++ samplers go on from the unconditional prediction, which they take there; it is as
        much a prediction as the one that they are given.
        """

        def guided_for(function: PostCFG) -> PostCFG:
            def look(args: dict[str, Any]) -> Tensor:
                x_0 = self._guidance.prediction(args["uncond_denoised"], x_t, step)
                return function({**args, "uncond_denoised": x_0})

            return look

        functions, others = model_options.get(POST_CFG, ()), self._run.post_cfg
        if all(function in others for function in functions):
            return model_options
        shown = [f if f in others else guided_for(f) for f in functions]
        return {**model_options, POST_CFG: shown}
