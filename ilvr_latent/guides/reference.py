"""A reference with its settings: what of it is matched, when, where and how strictly.

Of a video, (B, C, T, H, W), T is its frames: latent frames, of which most video models have one for
four of the film (eight in some), after the first. A reference that has to do with time takes a
batch of pictures, (B, C, H, W), for a clip of B frames.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from .. import defaults
from ..diffusion.guide import Run
from ..diffusion.noise import ReferenceNoise
from ..diffusion.schedule import Schedule, Step
from ..errors import InputError, check_choice
from .bands import BANDS, Band
from .frames import FramesFit, as_batch, as_clip, weights_of_frames, with_frames
from .lowpass import Kernel, LowPass, TimeAxis
from .weight import Weight, WeightSchedule, check_weight
from .window import Window

Space = Literal["state", "prediction"]
FactorUnit = Literal["cells", "share"]


@dataclass(frozen=True, eq=False)
class Reference:
    """An image whose low frequencies the sample takes over.

    Args:
        image: (B, C, H, W) in [-1, 1], or a latent; B = 1, or a divisor of the sample's batch,
            then repeated in turn. For a video, also a clip (B, C, T, H, W) of any length; a
            picture serves every frame. For a batch that is a clip: a picture, or a clip of any
            length, (T, C, H, W) or (1, C, T, H, W).
        factor: N, the size of the detail that is left to the model.
        factor_unit: of N: pixels of the sampled tensor (``cells`` of a latent), or a ``share`` of
            its shorter side, which means the same on every model.
        window: which steps are matched.
        weight: 0 (off) to 1 (the paper), or a schedule of it over the window.
        mask: where to match, 1 = fully, broadcastable to (B, 1, H, W); ``None`` = everywhere.
        kernel: of phi_N.
        space: match the ``state`` (the paper), or the ``prediction`` (DDNM's form).
        noise: of the reference in the state space: ``fresh`` (the paper), ``fixed`` or
            ``hybrid``, see :class:`~ilvr_latent.diffusion.noise.HeldNoise`; ``None`` is the
            driver's: ``fresh`` in pixel space, ``hybrid`` in ComfyUI and diffusers.
        band: what is held: the ``coarse`` band (the paper), the ``fine`` one, which is all the
            rest, or of a video the ``fast`` one, see :mod:`.bands`.
        frames_factor: T of phi_{N,T}, for videos: how many frames what is left to the model lasts.
            1 holds each frame for itself. Above 1, a batch of pictures is a clip.
        frame_weights: for videos, how strictly each frame is held: a schedule over the time of the
            video, from 0 (its first frame) to 1 (its last); ``None`` = all alike. With weights, a
            batch of pictures is a clip.
        frames_fit: a clip of another length is ``stretch``ed over the video's time, or begins with
            it and then ``hold``s its last frame.

    Raises:
        InputError: the image or mask has the wrong rank or values that are not finite, the
            weight is outside [0, 1], the band is empty, or a choice is unknown.
    """

    image: Tensor
    factor: float
    window: Window = field(default_factory=Window)
    weight: Weight = defaults.WEIGHT
    mask: Tensor | None = None
    kernel: Kernel = defaults.KERNEL
    space: Space = defaults.SPACE
    noise: ReferenceNoise | None = None
    factor_unit: FactorUnit = "cells"
    band: Band = "coarse"
    frames_factor: float = 1.0
    frame_weights: WeightSchedule | None = None
    frames_fit: FramesFit = "stretch"

    def __post_init__(self) -> None:
        check_choice("unit of the factor", self.factor_unit, get_args(FactorUnit))
        check_choice("band", self.band, get_args(Band))
        check_choice("frames_fit", self.frames_fit, get_args(FramesFit))
        # A share is known to be wide enough only when the size is.
        self._filter(self.factor if self.factor_unit == "cells" else 2.0)
        if self.factor_unit == "share" and not 0 < self.factor <= 1:
            raise InputError(
                f"The factor is {self.factor:g} of the side; use a share above 0 (the reference "
                "itself) up to 1 (its mean colour)."
            )
        check_choice("space", self.space, get_args(Space))
        if self.noise is not None:
            check_choice("reference noise", self.noise, get_args(ReferenceNoise))
        if self.image.ndim < 4 or not self.image.is_floating_point():
            raise InputError(
                f"The reference is {self.image.dtype} of shape {tuple(self.image.shape)}; "
                "use a floating-point tensor of shape (B, C, H, W)."
            )
        if not bool(torch.isfinite(self.image).all()):
            raise InputError(
                "The reference holds NaN or infinite values; decode or encode it again in fp32."
            )
        if not isinstance(self.weight, WeightSchedule):
            check_weight(self.weight)
        if self.mask is not None and not bool(((self.mask >= 0) & (self.mask <= 1)).all()):
            raise InputError("The mask holds values outside [0, 1]; scale it to that range.")
        if self.mask is not None and not bool((self.mask > 0).any()):
            raise InputError("The mask is empty; paint where to match, or leave the mask out.")
        if self.frame_weights is not None and not self.frame_weights:
            raise InputError(
                "The weights of frames are all 0; give one above 0, such as 0:1, or leave them out."
            )

    def lowpass(self, shape: Sequence[int]) -> LowPass:
        """phi_N for a run of this shape, or the filter of the band that is held instead.

        Raises:
            InputError: the band is empty, or has to do with frames and the run is of one picture.
        """
        time: TimeAxis = -4 if self.takes_batch_for_clip(shape) else -3
        if self.factor_unit == "cells":
            return self._filter(self.factor, time)
        return self._filter(max(1.0, self.factor * min(shape[-2:])), time)

    def takes_batch_for_clip(self, shape: Sequence[int]) -> bool:
        """Whether the pictures of a run of this shape are the frames of one clip.

        Raises:
            InputError: the reference has to do with frames, and the run is of one picture.
        """
        if len(shape) == 5 or (self.frames_factor == 1 and self.frame_weights is None):
            return False
        if shape[0] == 1:
            raise InputError(
                f"{self._in_time()}, but what is sampled is one picture; sample the frames of a "
                "clip as one batch, or leave both out."
            )
        return True

    def _in_time(self) -> str:
        return f"frames_factor is {self.frames_factor:g}, or frames have weights"

    def _filter(self, factor: float, time: TimeAxis = -3) -> LowPass:
        return BANDS[self.band](factor, self.kernel, self.frames_factor, time)

    def matched_steps(self, schedule: Schedule) -> frozenset[int]:
        """Indices of the sampling steps in the window.

        Raises:
            InputError: there is none.
        """
        matched = frozenset(s.index for s in schedule.steps if self.window.contains(s))
        if not matched:
            raise InputError(
                f"The window from {self.window.unit} {self.window.start} to {self.window.end} "
                f"holds none of the {len(schedule)} steps; widen it or take more steps."
            )
        return matched

    def step_weights(self, run: Run) -> dict[int, float]:
        """The weight of each sampling step that is matched; a weight of 0 matches nothing.

        Raises:
            InputError: there is a weight, but no step in the window, and the run is no stage.
        """
        # Switched off, it draws no noise either: the sample is then that without it, bit for bit.
        if not self.weight:
            return {}
        steps = [s for s in run.schedule.steps if not s.is_clean and self.window.contains(s)]
        if not steps and not run.may_be_a_stage:
            self.matched_steps(run.schedule)
        weights = {s.index: self.weight_of(s, len(run.schedule)) for s in steps}
        return {index: weight for index, weight in weights.items() if weight}

    def weight_of(self, step: Step, steps: int) -> float:
        """The weight of a step in the window of a run of so many steps."""
        if not isinstance(self.weight, WeightSchedule):
            return self.weight
        return self.weight(self.window.clipped(steps).progress(step))

    def placed(self, run: Run) -> tuple[Tensor, Tensor | None]:
        """Image and mask as a run needs them, on its device, the mask within its inpainting area.

        Raises:
            InputError: channels, size or batch do not fit.
        """
        image, shape = self.image, run.shape
        batch_is_clip = self.takes_batch_for_clip(shape)
        if batch_is_clip:
            self._check_one_clip(run)
            clip = image if image.ndim == 5 else as_clip(image)
            image = as_batch(with_frames(clip, shape[0], self.frames_fit))
        elif len(shape) == 5:
            clip = image if image.ndim == 5 else image.unsqueeze(2)
            image = with_frames(clip, shape[2], self.frames_fit)
        image = run.picture(image)
        if tuple(image.shape[1:]) != tuple(shape[1:]):
            raise InputError(
                f"The reference has shape {tuple(image.shape)} (batch, channels, height, "
                f"width), the sample {tuple(shape)}; resize the reference to the sample's size."
            )
        if shape[0] % image.shape[0]:
            raise InputError(
                f"There are {image.shape[0]} reference images for a batch of {shape[0]}; "
                "use one, or a number that divides the batch."
            )
        image = image.to(run.device, torch.float32)
        image = image.repeat(shape[0] // image.shape[0], *[1] * (image.ndim - 1))
        # What inpainting keeps is left alone.
        areas = [] if run.inpainting_area is None else [run.inpainting_area]
        if self.mask is not None:
            areas.insert(0, self._mask_in(run, batch_is_clip))
        if self.frame_weights is not None:
            frames = shape[0] if batch_is_clip else shape[2]
            weights = weights_of_frames(self.frame_weights, frames).to(run.device)
            areas.append(as_batch(weights) if batch_is_clip else weights)
        return image, functools.reduce(torch.mul, areas) if areas else None

    def _check_one_clip(self, run: Run) -> None:
        if not run.is_whole_batch:
            raise InputError(
                f"{self._in_time()}, but what is sampled is a part of a batch, or several videos; "
                "sample all frames of one clip as one batch, or leave both out."
            )
        if self.image.ndim == 5 and len(self.image) > 1:
            raise InputError(
                f"There are {len(self.image)} reference clips for a batch that is one clip; use "
                "one."
            )

    def _mask_in(self, run: Run, batch_is_clip: bool) -> Tensor:
        assert self.mask is not None
        area = run.area_of_frames if batch_is_clip else run.area
        mask = area(self.mask).to(run.device, torch.float32)
        try:
            mask.expand(tuple(run.shape))
        except RuntimeError:
            raise InputError(
                f"The mask has shape {tuple(mask.shape)}, which does not fit the sample "
                f"{tuple(run.shape)}; resize it to the sample's height and width."
            ) from None
        return mask
