"""A network with a guide around it, as every sampler of the core calls it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .denoiser import Denoiser
from .guide import Denoise, GuideRun
from .noise import NoiseSource
from .reverse import predicted_x_0
from .schedule import Step


class GuidedNetwork:
    """From a state to the clean estimate, with all that a guide does around it.

    Args:
        model: the network.
        guide: a run of the method.
        class_labels: int64 (B,), for class-conditional networks.
        clip_denoised: clamp the network's estimate to [-1, 1].

    Attributes:
        learned: the variance channels of the last call, where the network has them.
    """

    def __init__(
        self, model: Denoiser, guide: GuideRun, class_labels: Tensor | None, clip_denoised: bool
    ) -> None:
        self._model, self._guide = model, guide
        self._labels, self._clip = class_labels, clip_denoised
        self.learned: Tensor | None = None

    def __call__(
        self, x: Tensor, step: Step, a_bar: float, t: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """The state as the guide leaves it, and its clean estimate.

        Args:
            x: (B, C, H, W), with alpha^2 + sigma^2 = 1.
            step: the level, for the guide.
            a_bar: of the level.
            t: its timestep where it lies between two of them; ``None``: the step's own.
        """
        x_t = self._guide.state(x, step)

        def unclipped(x_t: Tensor) -> Tensor:
            return self._x_0(x_t, a_bar, step.t if t is None else t)

        x_0 = self._guide.denoise(Denoise(unclipped, self._clip), x_t, step)
        return x_t, self._guide.prediction(x_0, x_t, step)

    def _x_0(self, x_t: Tensor, a_bar: float, t: float) -> Tensor:
        config = self._model.config
        dtype = torch.int64 if isinstance(t, int) else torch.float32
        time = torch.full((len(x_t),), t, dtype=dtype, device=x_t.device)
        output = self._model(x_t, time, self._labels)
        if config.learn_sigma:
            output, learned = output.chunk(2, dim=1)
            self.learned = learned.detach()
        return predicted_x_0(output, x_t, a_bar, config.prediction_type)


def first_state(noise: NoiseSource, shape: Sequence[int], device: torch.device) -> Tensor:
    """x_T: fp32, or float64 where the noise is."""
    x_T = noise.initial(shape).to(device)
    return x_T if x_T.dtype == torch.float64 else x_T.float()
