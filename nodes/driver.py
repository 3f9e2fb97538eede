"""ComfyUI's sampling, opened for guidance. The only file that knows how the host samples.

A wrapper on a cloned MODEL runs the sampler that the user chose, unchanged, with a stand-in for
the denoiser it calls. The stand-in shows a guide every state before the network sees it, and
every prediction after. Nothing that is shared is changed: wrappers of other packs stay in the
chain, and an interrupted run leaves nothing behind.

    x_t    state, as the sampler holds it        sigma   the host's noise level
    x_0    clean estimate
"""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.patcher_extension
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..ilvr_latent.diffusion.guide import Denoise, Guide, GuideRun, Guides, Run
from ..ilvr_latent.phrases import Phrase, sentences
from .differentiable import differentiable
from .hints import hints
from .levels import HostSchedule, HostStep
from .nested import OnFirstPart
from .readout import show
from .run import POST_CFG, HostRun, PostCFG, host_run
from .sizes import OfEachSize

logger = logging.getLogger(__name__)

SAMPLER_SAMPLE = comfy.patcher_extension.WrappersMP.SAMPLER_SAMPLE
KEY = "ilvr"
Watch = Callable[[Guide], Guide]


@dataclass(frozen=True, eq=False)
class Attached:
    """A guide, and the node that put it on the MODEL: its lines of text are shown there."""

    guide: Guide
    node_id: str | None = None

    def begin(self, run: Run) -> GuideRun | None:
        """Begin the guide; see :class:`.diffusion.Guide`."""
        found = hints(run, self.guide) if isinstance(run, HostRun) else []

        def tell(text: str) -> None:
            self.tell(sentences([text, *found]))

        return self.guide.begin(dataclasses.replace(run, tell=tell))

    def tell(self, text: str) -> None:
        """Show a line of text at the node, and write it to the log."""
        logger.info("%s: %s", type(self.guide).__name__, text)
        show(self.node_id, text)


def guides_of(model: ModelPatcher) -> tuple[Guide, ...]:
    """The guides that a MODEL has, in the order in which they act."""
    return tuple(one.guide for wrapper in _wrappers(model) for one in wrapper.attached)


def guided(model: ModelPatcher, guide: Guide, node_id: str | None = None) -> ModelPatcher:
    """A MODEL that samples with ``guide``, after the guides that it has already.

    Args:
        model: stays as it is.
        guide: the method.
        node_id: of the node in the graph, where the guide's lines of text are shown.

    Returns:
        A clone; the weights are shared.
    """
    attached = [one for wrapper in _wrappers(model) for one in wrapper.attached]
    return _wrapped(model, [*attached, Attached(guide, node_id)], _watches(model))


def watched(model: ModelPatcher, watch: Watch) -> ModelPatcher:
    """A MODEL whose guides, all together, are put into another.

    Args:
        model: stays as it is.
        watch: all guides of the MODEL, those that are added later too, to one that looks on.
    """
    attached = [one for wrapper in _wrappers(model) for one in wrapper.attached]
    return _wrapped(model, attached, [*_watches(model), watch])


def _wrappers(model: ModelPatcher) -> list[_GuidedSampling]:
    return model.get_wrappers(SAMPLER_SAMPLE, KEY)


def _watches(model: ModelPatcher) -> list[Watch]:
    return [watch for wrapper in _wrappers(model) for watch in wrapper.watches]


def _wrapped(
    model: ModelPatcher, attached: Sequence[Attached], watches: Sequence[Watch]
) -> ModelPatcher:
    clone = model.clone()
    clone.remove_wrappers_with_key(SAMPLER_SAMPLE, KEY)
    clone.add_wrapper_with_key(SAMPLER_SAMPLE, KEY, _GuidedSampling(attached, watches))
    return clone


class _GuidedSampling:
    """The wrapper: runs the sampler it is put around, with a stand-in for the denoiser."""

    def __init__(self, attached: Sequence[Attached], watches: Sequence[Watch]) -> None:
        self.attached, self.watches = tuple(attached), tuple(watches)

    def __deepcopy__(self, memo: dict[int, Any]) -> _GuidedSampling:
        # The host copies options deeply and often; references are large and never changed.
        return self

    @property
    def guide(self) -> Guide:
        """All guides as one."""
        guide: Guide = Guides(*self.attached)
        for watch in self.watches:
            guide = watch(guide)
        return guide

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
        if bool((sigmas.diff() > 0).any()) or len(sigmas) < 2:
            for one in self.attached:
                one.tell(Phrase("Does nothing: these SIGMAS do not lead from noise to a picture."))
            return executor(guider, *rest, **kwargs)
        run = host_run(guider, sampler, sigmas, extra_args, noise, latent_image, denoise_mask)
        guidance: GuideRun = OfEachSize(self.guide, run)
        if run.part is not None:
            guidance = OnFirstPart(guidance, run.part)
        if not guidance.hooks:
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


def _end(guidance: GuideRun, run: Run, samples: Tensor) -> Tensor:
    return guidance.end(samples) if run.schedule.after is None else samples


def _with_stand_in(
    function: Callable[..., Tensor], run: HostRun, guidance: GuideRun
) -> Callable[..., Tensor]:
    def sampler_function(model: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        # Some kinds of model start from the user's latent itself, and the state is edited.
        return function(_StandIn(model, run, guidance), x.clone(), *args, **kwargs)

    return sampler_function


class _StandIn:
    """The denoiser that the sampler calls, with the guide before and after."""

    def __init__(self, denoiser: Any, run: HostRun, guidance: GuideRun) -> None:
        self._denoiser = denoiser
        self._run = run
        self._guidance = guidance
        self._gone_back = 0
        self._through_the_network = "denoise" in guidance.hooks

    def go_back(self, steps: int) -> None:
        """Told by a sampler that takes the last steps again: they are new visits."""
        self._gone_back += steps

    def guided_mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, sigma: Tensor
    ) -> Tensor:
        """Asked by samplers that have a posterior mean; all of it is variance preserving."""
        return self._guidance.mean(mu, variance, x_t, x_0, self._step(sigma))

    def _step(self, sigma: Tensor) -> HostStep:
        schedule = self._run.schedule
        assert isinstance(schedule, HostSchedule)
        return schedule.step(sigma, self._gone_back)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._denoiser, name)

    def __call__(self, x: Tensor, sigma: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        step = self._step(sigma)
        refined = self._guidance.state(x, step)
        if self._run.keeps_state and refined is not x:
            # In place: the sampler's next step starts from this tensor.
            refined = x.copy_(refined)
        if "model_options" in kwargs:
            kwargs["model_options"] = self._options_with_guide(
                kwargs["model_options"], refined, step
            )

        denoise = Denoise(lambda x_t: self._denoiser(x_t, sigma, *args, **kwargs))
        x_0 = self._denoised(denoise, refined, step)
        return self._guidance.prediction(x_0, refined, step)

    def _denoised(self, denoise: Denoise, x_t: Tensor, step: HostStep) -> Tensor:
        if not self._through_the_network:
            return denoise(x_t)
        with differentiable(self._run.model):
            return self._guidance.denoise(denoise, x_t, step)

    def _options_with_guide(
        self, model_options: dict[str, Any], x_t: Tensor, step: HostStep
    ) -> dict[str, Any]:
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
