"""One run of a sampler of the host, as a guide needs to know it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_sampling
import torch
from torch import Tensor

from ..ilvr_latent import InputError, SeededNoise, defaults
from ..ilvr_latent.diffusion.guide import Run
from ..ilvr_latent.guides.frames import as_batch
from .fitting import fit_latent, fit_mask, pixels_to_a_cell
from .levels import HostSchedule
from .nested import FirstPart, first_part
from .rows import Rows
from .trial import Conduct, conduct

# What the stand-in offers of a guide; samplers of this pack offer the mean besides.
HOOKS = frozenset({"state", "denoise", "prediction", "end"})

# Where a run keeps what looks at its predictions, and what that is.
POST_CFG = "sampler_post_cfg_function"
PostCFG = Callable[[dict[str, Any]], Tensor]


@dataclass(frozen=True, eq=False)
class HostRun(Run):
    """One run of a sampler of the host.

    Attributes:
        model: the host's ``BaseModel``.
        rows: which picture of its batch each row is.
        part: of a latent of several parts, the one that a guide is shown.
        sampler: the host's ``Sampler``.
        post_cfg: what looks at each prediction before the sampler does; the sampler may add to it.
        start: the latent that the run begins with besides noise, in the scale of the model, of the
            shape of the run; ``None``: there is none.
    """

    model: Any = None
    rows: Rows | None = None
    part: FirstPart | None = None
    sampler: Any = None
    post_cfg: Sequence[PostCFG] = ()
    start: Tensor | None = None

    def picture(self, image: Tensor) -> Tensor:
        """A latent as a VAE gives it: at the size of the states, in the scale of the model."""
        pictures = None if self.rows is None else self.rows.pictures
        fitted = fit_latent(image, self.shape, pictures).to(self.device)
        with torch.inference_mode(False):
            # A tensor that autograd can keep.
            return self.model.process_latent_in(fitted.clone())

    def area(self, mask: Tensor) -> Tensor:
        """A mask at the size of the states."""
        return fit_mask(mask, self.shape)

    def area_of_frames(self, mask: Tensor) -> Tensor:
        """Masks as the frames of the clip that the batch is."""
        frames, channels, *sides = self.shape
        return as_batch(fit_mask(mask, (1, channels, frames, *sides)))


def host_run(
    guider: Any,
    sampler: Any,
    sigmas: Tensor,
    extra_args: dict[str, Any],
    noise: Tensor,
    latent_image: Tensor | None,
    denoise_mask: Tensor | None,
) -> HostRun:
    """The run that the host is about to make; the arguments are those of its sampler.

    Raises:
        InputError: what is sampled is no picture and no video.
    """
    model = guider.inner_model
    part = first_part(model, noise)
    if part is not None:
        noise = part.of(noise)
        latent_image = None if latent_image is None else part.of(latent_image)
        denoise_mask = None if denoise_mask is None else part.of(denoise_mask)
    _check_latent(noise)
    schedule = HostSchedule(sigmas, model.model_sampling)
    begins_at = schedule.fraction_at(schedule.sigmas[0])
    rows = Rows(noise, latent_image, extra_args.get("seed") or 0, begins_at)
    tried = _tried(sampler, guider, noise.ndim)
    return HostRun(
        schedule=schedule,
        shape=noise.shape,
        device=noise.device,
        noise=SeededNoise(rows.seeds, noise.device),
        hooks=_hooks(sampler, tried),
        keeps_state=tried.keeps_state,
        inpainting_area=denoise_mask,
        reference_noise=defaults.NOISE_OF_OTHER_SAMPLERS,
        cell=pixels_to_a_cell(model.latent_format),
        may_be_a_stage=True,
        is_whole_batch=rows.pictures == [*range(len(noise))],
        model=model,
        rows=rows,
        part=part,
        sampler=sampler,
        post_cfg=extra_args.get("model_options", {}).get(POST_CFG, ()),
        start=latent_image,
    )


def _tried(sampler: Any, guider: Any, ndim: int) -> Conduct:
    function = getattr(sampler, "sampler_function", None)
    if function is None:
        return Conduct()
    flow = isinstance(guider.inner_model.model_sampling, comfy.model_sampling.CONST)
    return conduct(function, sampler.extra_options, guider, ndim=ndim, flow=flow)


def _hooks(sampler: Any, tried: Conduct) -> frozenset[str]:
    """What a sampler lets guides do."""
    function = getattr(sampler, "sampler_function", None)
    hooks = HOOKS | ({"mean"} if getattr(function, "asks_guides_for_the_mean", False) else set())
    return hooks if tried.at_its_level else hooks - {"state"}


def _check_latent(noise: Tensor) -> None:
    if noise.ndim not in (4, 5):
        raise InputError(
            f"ILVR works on image and video latents (4 or 5 dimensions), but this model samples "
            f"{noise.ndim} dimensions; remove ILVR Apply from this graph."
        )
