"""A guide at work in one run of a diffusers pipeline."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .. import defaults
from ..diffusion.guide import Guide, Run, begun
from ..diffusion.noise import NoiseSource
from .calls import place_of, plan_run
from .layout import layout_of
from .levels import clean_estimate, solver_of


class PipelineRun:
    """What a guide does to the states and predictions of one run.

    Args:
        pipe: the pipeline, while it runs.
        guide: the method.
        noise: where the guide's random numbers come from.
        latents: of the run, as the pipeline holds them.
        reference: (B, C, H, W), whose size tells that of packed latents.
        timestep: of the step during which this is called, the first of the run.
        taken: 1 after that step, 0 before.
        predictions: the scheduler is seen through, so that predictions can be exchanged.

    Raises:
        InputError: the guide does not fit the run.
    """

    def __init__(
        self,
        pipe: Any,
        guide: Guide,
        noise: NoiseSource,
        latents: Tensor,
        reference: Tensor,
        timestep: Tensor | float,
        taken: int,
        *,
        predictions: bool,
    ) -> None:
        self._scheduler = pipe.scheduler
        self._layout = layout_of(pipe, latents, reference)
        # set_timesteps makes a new tensor: as long as it is this one, the run is this one.
        self.timesteps = pipe.scheduler.timesteps
        told: int | None = getattr(pipe, "num_timesteps", None)
        first = place_of(pipe.scheduler, timestep, taken, told)
        left = len(self.timesteps) - first
        self._plan = plan_run(pipe.scheduler, first, min(told or left, left))
        shape, videos = self._layout.pictures(latents).shape, len(latents)
        hooks = frozenset({"state", "end"} | ({"prediction"} if predictions else set()))
        noise = self._layout.noise(noise)
        run = Run(
            self._plan.schedule,
            shape,
            latents.device,
            noise,
            hooks,
            reference_noise=defaults.NOISE_OF_OTHER_SAMPLERS,
            # Frames of several videos stand beside one another.
            is_whole_batch=videos == 1 or shape[0] == videos,
        )
        self._guided = begun(guide, run)
        self._done = 0

    @property
    def finished(self) -> bool:
        """Whether all its steps are done."""
        return self._done == len(self._plan.calls)

    def output(self, output: Tensor, latents: Tensor) -> Tensor:
        """The network's output that says what the guide makes of its prediction.

        Args:
            output: of the network, as the scheduler is given it; it may have channels for the
                variance after those of the picture.
            latents: the state that the network was given.

        Returns:
            ``output`` itself where the guide leaves the prediction alone.
        """
        step = self._plan.calls[self._done].step
        estimate = clean_estimate(self._scheduler, step.alpha, step.sigma)
        channels = latents.shape[1]
        mean = output[:, :channels] if latents.ndim == 4 else output
        x_t = self._layout.pictures(latents).float()
        x_0 = estimate.a * x_t + estimate.b * self._layout.pictures(mean).float()
        guided = self._guided.prediction(x_0, x_t, step)
        if guided is x_0:
            return output
        changed = output.clone()
        (changed[:, :channels] if latents.ndim == 4 else changed).add_(
            self._layout.latents((guided - x_0) / estimate.b).to(output.dtype)
        )
        return changed

    def state(self, latents: Tensor) -> Tensor:
        """What the guide makes of the state that a step has produced.

        Returns:
            ``latents`` itself where the guide leaves it alone.
        """
        self._done += 1
        pictures = self._layout.pictures(latents)
        if not self.finished:
            call = self._plan.calls[self._done]
            guided = self._guided.state(pictures, call.step) if call.whole else pictures
        elif self._plan.after is not None:
            guided = self._guided.state(pictures, self._plan.after)
        else:
            guided = self._guided.end(pictures)
        if guided is pictures:
            return latents
        if solver_of(self._scheduler).corrects:
            # Their corrector would compute the state anew from the last one, and lose this.
            self._scheduler.last_sample = None
        return self._layout.latents(guided)
