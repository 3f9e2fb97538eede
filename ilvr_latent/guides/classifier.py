"""Diffusion Models Beat GANs on Image Synthesis: classifier guidance, arXiv 2105.05233.

    x_t   state, variance preserving        g   grad_{x_t} log p(y | x_t), by the classifier
    x_0   clean estimate                    s   scale                  V   variance of the step
    a     alpha-bar of x_t's level

Algorithm 1 (DDPM):   mu  <- mu + s V g
Algorithm 2 (DDIM):   eps <- eps - sqrt(1 - a) s g,  which is  x_0 <- x_0 + s (1 - a) / sqrt(a) g

The paper linearises about mu; the authors' code, and this, takes the gradient at x_t. The estimate
of x_0 is clipped before it is shifted, never after.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..diffusion.gradients import gradient, ordinary
from ..diffusion.guide import GuideRun, Run
from ..diffusion.schedule import Step
from ..errors import InputError
from .energy import tried
from .noisy_pictures import check_network

Classifier = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, C, H, W), original timesteps (B,)) to logits (B, K), differentiable in x_t."""


class ClassifierGuidance:
    """Towards a class, by the gradient of a classifier of noisy pictures; a guide.

    Args:
        classifier: see :func:`ilvr_latent.adm.load_adm_classifier`; trained on the model's own
            noise schedule.
        labels: the class of every picture, or one for each.
        scale: s; 0 is off, bit for bit, 1 the classifier's own word, above 1 sharper.

    Raises:
        InputError: the scale is not a finite number.
    """

    def __init__(
        self, classifier: Classifier, labels: int | Sequence[int] | Tensor, *, scale: float = 1.0
    ) -> None:
        if not math.isfinite(scale):
            raise InputError(f"The scale is {scale}; use a number such as 1 (0 is off).")
        self.classifier, self.scale = classifier, scale
        self.labels = torch.as_tensor(labels, dtype=torch.int64).reshape(-1)

    def begin(self, run: Run) -> GuideRun | None:
        """Place the labels; ``None`` with a scale of 0.

        Raises:
            InputError: there are as many labels as neither 1 nor pictures, or no such class, or
                the classifier says of itself that it is for other pictures or another noise.
        """
        if self.scale == 0:
            return None
        check_network(self.classifier, run)
        self._check_labels(run)
        batch = run.shape[0]
        if len(self.labels) not in (1, batch):
            raise InputError(
                f"There are {len(self.labels)} class labels for a batch of {batch}; give one, or "
                "one for each picture."
            )
        labels = self.labels.expand(batch).to(run.device)
        kind = _MeanShift if "mean" in run.hooks else _PredictionShift
        return kind(self.classifier, labels, self.scale)

    def _check_labels(self, run: Run) -> None:
        classes = getattr(getattr(self.classifier, "config", None), "num_classes", None)
        if classes is None:
            pictures = torch.zeros(tuple(run.shape), device=run.device)
            t = torch.full((run.shape[0],), run.schedule.steps[-1].t, device=run.device)
            logits = tried(lambda: self.classifier(pictures, t))
            if logits is None:
                return
            if logits.ndim != 2 or len(logits) != len(pictures):
                raise InputError(
                    f"The classifier gave a result of shape {tuple(logits.shape)} for "
                    f"{len(pictures)} pictures; it must give logits, (B, classes)."
                )
            classes = logits.shape[1]
        wrong = self.labels[(self.labels < 0) | (self.labels >= classes)]
        if len(wrong):
            raise InputError(
                f"The class label is {int(wrong[0])}; this classifier has 0 to {classes - 1}."
            )


class _Shift(GuideRun):
    def __init__(self, classifier: Classifier, labels: Tensor, scale: float) -> None:
        self._classifier, self._labels, self._scale = classifier, labels, scale

    def slope(self, x_t: Tensor, step: Step) -> Tensor:
        """s grad log p(y | x_t), at a variance-preserving state."""
        t = torch.full((len(x_t),), step.t, device=x_t.device)
        labels = ordinary(self._labels)[:, None]

        def log_likelihood(x: Tensor) -> Tensor:
            logits = self._classifier(x, t)
            chosen = torch.log_softmax(logits.float() if _is_half(logits) else logits, dim=-1)
            return chosen.gather(1, labels)[:, 0]

        return self._scale * gradient(log_likelihood, x_t)


class _MeanShift(_Shift):
    """Algorithm 1."""

    def mean(
        self, mu: Tensor, variance: Tensor | float, x_t: Tensor, x_0: Tensor, step: Step
    ) -> Tensor:
        return mu + variance * self.slope(x_t, step)


class _PredictionShift(_Shift):
    """Algorithm 2."""

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        if step.alpha == 0:
            # Nothing of the picture is in pure noise.
            return x_0
        weight = (1 - step.a_bar) / math.sqrt(step.a_bar)
        return x_0 + weight * self.slope(x_t / step.scale, step)


def _is_half(x: Tensor) -> bool:
    return x.dtype in (torch.float16, torch.bfloat16)
