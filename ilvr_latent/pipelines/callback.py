"""Guides in diffusers pipelines: as a callback, or through the scheduler.

A pipeline's ``callback_on_step_end`` is shown x_{t-1} after each step, before the network is: the
very place of eq. 8. That is enough for ``space="state"``. What the network predicts is not shown to
it, and no edit of x_{t-1} afterwards is right for solvers that remember predictions. So a
:class:`GuideCallback` is also a context manager: while it is open, the scheduler's ``step`` is
seen through, the network's output is exchanged before the solver (any solver) takes it, and the
state after. On leaving, the scheduler is as it was. Pipelines without ``callback_on_step_end``
are guided this way too.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from diffusers.callbacks import PipelineCallback
from einops import rearrange
from torch import Tensor

from ..diffusion.guide import Guide
from ..diffusion.noise import NoiseSource, ReferenceNoise, SeededNoise
from ..errors import InputError
from ..guides.ilvr import ILVR, Reference, Space
from .levels import solver_of
from .run import PipelineRun

# The pipeline may draw x_T from the same seed; the reference must not repeat its numbers.
SEED_OFFSET = 0x494C5652


class GuideCallback(PipelineCallback):
    """Any method of guidance in a diffusers pipeline.

    One object serves any number of runs, one after the other, each of which starts afresh.

    Args:
        pipe: the pipeline; stays as it is.
        guide: the method.
        reference: (B, C, H, W), a latent of the size that is sampled.
        predictions: the guide changes predictions, so it needs the scheduler (``with``).
        seed: of the guide's noise; one for each picture, or a single one: picture k of the batch
            then has seed + k.
        noise: a noise source instead of a seed.

    Raises:
        InputError: the pipeline's scheduler is of a kind that is not known.
    """

    def __init__(
        self,
        pipe: Any,
        guide: Guide,
        reference: Tensor,
        *,
        predictions: bool = True,
        seed: int | Sequence[int] = 0,
        noise: NoiseSource | None = None,
    ) -> None:
        super().__init__()
        if getattr(pipe, "scheduler", None) is None:
            raise InputError(
                f"{type(pipe).__name__} has no scheduler, so it does not sample by denoising; "
                "use a diffusion pipeline."
            )
        solver_of(pipe.scheduler)
        self._pipe = pipe
        self._guide = guide
        self._reference = reference
        self._predictions = predictions
        self._seed = seed
        self._noise = noise
        self._run: PipelineRun | None = None
        self._seen_through: Any = None

    @property
    def tensor_inputs(self) -> list[str]:
        """What a pipeline hands to the callback; diffusers asks at the start of every run.

        Raises:
            InputError: the run cannot be guided.
        """
        self._run = None
        solver_of(self._pipe.scheduler)
        self._check_open()
        return ["latents"]

    def callback_fn(
        self, pipeline: Any, step_index: int, timestep: Tensor, callback_kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Guide the state after a step; see ``callback_on_step_end`` of any pipeline."""
        if self._seen_through is not None:
            return callback_kwargs
        self._check_open()
        if "latents" not in callback_kwargs:
            raise InputError(
                f"{type(pipeline).__name__} does not hand its latents to callbacks; leave "
                "callback_on_step_end_tensor_inputs out, or guide it by 'with callback:'."
            )
        latents = callback_kwargs["latents"]
        if step_index == 0 or self._run is None:
            self._run = self._begin(latents, timestep, taken=1)
        return callback_kwargs | {"latents": self._run.state(latents)}

    def _check_open(self) -> None:
        if self._predictions and self._seen_through is None:
            raise InputError(
                "Predictions are not shown to callbacks; write 'with callback:' around the call of "
                "the pipeline, or use space='state'."
            )

    def _begin(self, latents: Tensor, timestep: Tensor | float, taken: int) -> PipelineRun:
        noise = self._noise or SeededNoise(_with_offset(self._seed), latents.device)
        return PipelineRun(
            self._pipe,
            self._guide,
            noise,
            latents,
            self._reference,
            timestep,
            taken,
            predictions=self._seen_through is not None,
        )

    def __enter__(self) -> Self:
        scheduler = self._pipe.scheduler
        if self._seen_through is not None:
            raise InputError("This callback is open already; leave its 'with' block first.")
        solver_of(scheduler)
        step, signature = scheduler.step, inspect.signature(scheduler.step)

        @functools.wraps(step)
        def guided_step(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs)
            values = given.arguments
            if self._run is None or self._run.timesteps is not scheduler.timesteps:
                self._run = self._begin(values["sample"], values["timestep"], taken=0)
            run = self._run
            if self._predictions:
                values["model_output"] = run.output(values["model_output"], values["sample"])
            result = step(*given.args, **given.kwargs)
            result = _with_state(result, run)
            if run.finished:
                self._run = None
            return result

        self._seen_through = scheduler, vars(scheduler).get("step")
        scheduler.step = guided_step
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        scheduler, before = self._seen_through
        self._seen_through = self._run = None
        # The method of the class shows again, or the step of another callback around this one.
        del scheduler.step
        if before is not None:
            scheduler.step = before


class ILVRCallback(GuideCallback):
    """ILVR (arXiv 2108.02938) in a diffusers pipeline, by its ``callback_on_step_end``::

        reference = encode_reference(pipe, image)
        callback = ILVRCallback(pipe, Reference(reference, factor=4, window=Window(0, 0.8)))
        pipe(prompt, callback_on_step_end=callback)

    or, for ``space="prediction"`` and for pipelines without callbacks, through the scheduler::

        with ILVRCallback(pipe, Reference(reference, factor=4), space="prediction"):
            pipe(prompt)

    After each whole step of the scheduler, x_{t-1} is matched with the reference at that noise
    level, eq. 8; the finished latent with the clean reference. States that a solver shows the
    network half-way and then drops (Heun, KDPM2, ...) are left alone, so that a step of the paper
    is a step of the solver. Correctors that would compute a matched state anew from the one before
    (UniPC, SASolver) sit out that step. With DDPMScheduler and fresh noise this is Algorithm 1.

    Guidance is not concerned: pipelines hold one latent for the prompt and the negative prompt.

    Args:
        pipe: the pipeline; stays as it is.
        references: latents from :func:`encode_reference`, (B, C, H, W), of the size that is
            sampled; B = 1, or a divisor of the pictures at a time, then repeated in turn. For a
            video, 4-D references serve every frame (F of them: one each); (B, C, F, H, W) has its
            own frames.
        space: of all references, in place of their own: match the ``state`` (the paper), or the
            ``prediction``, which needs ``with``.
        seed: of the reference's noise; one for each picture, or a single one: picture k of the
            batch then has seed + k.
        reference_noise: of all references, in place of their own: ``fresh`` (the paper), ``fixed``
            or ``hybrid``; ``hybrid`` where neither says.
        noise: a noise source instead of a seed; of a run, only its ``reference`` is asked.

    The size that is sampled is known once the first step has been taken, and not before: it is an
    argument of the call (or comes from another picture there), which a pipeline shows to no
    callback. So a reference of another size is refused then, after one call of the network.

    Raises:
        InputError: a setting, or a scheduler of a kind that is not known.
    """

    def __init__(
        self,
        pipe: Any,
        references: Reference | Sequence[Reference],
        *,
        space: Space | None = None,
        seed: int | Sequence[int] = 0,
        reference_noise: ReferenceNoise | None = None,
        noise: NoiseSource | None = None,
    ) -> None:
        given = [references] if isinstance(references, Reference) else list(references)
        guide = ILVR([_of_pictures(r) for r in given], space=space, reference_noise=reference_noise)
        super().__init__(
            pipe,
            guide,
            guide.references[0].image,
            predictions=any(one.space == "prediction" for one in guide.references),
            seed=seed,
            noise=noise,
        )


def _of_pictures(reference: Reference) -> Reference:
    """A video's frames as pictures, as a guide sees them."""
    if reference.image.ndim != 5:
        return reference
    frames = rearrange(reference.image, "b c f h w -> (f b) c h w")
    return dataclasses.replace(reference, image=frames)


def _with_offset(seed: int | Sequence[int]) -> int | list[int]:
    if isinstance(seed, int):
        return seed + SEED_OFFSET
    return [one + SEED_OFFSET for one in seed]


def _with_state(result: Any, run: PipelineRun) -> Any:
    """A scheduler's answer with the guided state in it."""
    if isinstance(result, tuple):
        return run.state(result[0]), *result[1:]
    result.prev_sample = run.state(result.prev_sample)
    return result
