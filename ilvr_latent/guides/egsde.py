"""EGSDE: Unpaired Image-to-Image Translation via Energy-Guided SDEs, arXiv 2207.06635.

Begins with the source, noised to level M (:class:`ilvr_latent.diffusion.Start`, SDEdit). One step,
from alpha-bar a to p (alpha = a / p, beta = 1 - alpha):

    y_t = sqrt(a) y_0 + sqrt(1 - a) e
    G   = grad_x (l_s S(x_t, y_t) + l_i I(x_t, y_t))
    mu' = mu - beta / sqrt(alpha) G

    S    cosine of F(x_t, t) and F(y_t, t), mean over positions     away from the source's domain
    I    |phi(x_t) - phi(y_t)|^2                                    faithful to its layout
    F    features of a domain classifier      phi   low-pass filter      e    the start's noise
    y_0  source            x_t   state        mu    posterior mean       x_0  clean estimate

mu follows from x_0 in a straight line, so the same is x_0' = x_0 - (1 - a) / sqrt(a) G: exactly so
under DDPM, and every other sampler can take it too.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..diffusion.gradients import ordinary
from ..diffusion.guide import GuideRun, Run
from ..diffusion.schedule import Step
from ..errors import InputError
from ..phrases import Phrase
from .energy import slope, through, tried
from .lowpass import Kernel, LowPass
from .noisy_pictures import check_network
from .reference import Reference

Features = Callable[[Tensor, Tensor], Tensor]
"""F(x_t, t): (B, C, H, W) and original timesteps (B,) to (B, C', h, w)."""


class EGSDE:
    """EGSDE with its settings; see :class:`ilvr_latent.diffusion.Guide`.

    Args:
        source: y_0, (B, C, H, W) in [-1, 1], or a latent; B = 1, or a divisor of the sample's
            batch. The run is to begin from it: ``Start(source, index)``, a host's own denoising
            strength.
        features: F, a network or any function of (x, t) to (B, C', h, w); ``None`` is without S.
        realism: l_s, 0 or more; how strongly the picture leaves the source's domain.
        faithful: l_i, 0 or more; how strongly it keeps the source's layout.
        factor: N of phi.
        kernel: of phi; linear is that of the authors' resizer here.
        shared_noise: y_t has the noise that the run began with, as in the authors' code. It is
            what the first state holds besides the source. If not, fresh noise at each step, as the
            paper writes it.

    Raises:
        InputError: the source or a number cannot be used.
    """

    def __init__(
        self,
        source: Tensor,
        *,
        features: Features | None = None,
        realism: float = 500.0,
        faithful: float = 2.0,
        factor: float = 32,
        kernel: Kernel = "linear",
        shared_noise: bool = True,
    ) -> None:
        for name, value in (("realism", realism), ("faithful", faithful)):
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value}; use 0 (off) or more.")
        self.source = Reference(source, factor, kernel=kernel)
        self.features = features if realism else None
        self.realism, self.faithful = float(realism), float(faithful)
        self.shared_noise = shared_noise

    def begin(self, run: Run) -> EGSDERun | None:
        """Place the source; ``None`` where both weights are 0, which is SDEdit.

        Raises:
            InputError: the source or the features do not fit the run.
        """
        if self.features is None and not self.faithful:
            return None
        y_0, area = self.source.placed(run)
        y_0 = ordinary(y_0)
        check_network(self.features, run)
        self._check_features(y_0, run.schedule.steps[-1])
        run.tell(self._in_words(run))
        return EGSDERun(self, run, y_0, area)

    def _check_features(self, y_0: Tensor, step: Step) -> None:
        """Try them once, before any step is taken.

        Raises:
            InputError: they are no features of each position.
        """
        features = self.features
        if features is None:
            return
        got = tried(lambda: through(features, y_0, _timesteps(y_0, step)))
        if got is None:
            return
        if got.ndim != y_0.ndim or len(got) != len(y_0):
            raise InputError(
                f"The features have shape {tuple(got.shape)} for pictures {tuple(y_0.shape)}; they "
                "must be (B, C, h, w), such as those of a classifier before its head."
            )
        if not bool(torch.isfinite(got).all()):
            raise InputError("The features of the source are NaN or infinite; use another network.")

    def _in_words(self, run: Run) -> Phrase:
        """What it does, and whether the steps are small enough for it."""
        steps = run.schedule
        # phi's error is multiplied by 1 - this at a step; at above 2 it grows.
        pulls = [
            4 * self.faithful * (1 - a / p) * math.sqrt(p / a)
            for a, p in ((a, steps.a_bar_next(i)) for i, a in enumerate(steps.a_bar))
            if a > 0 and p < 1
        ]
        follows = Phrase("Follows the source for {count} steps.", count=len(steps))
        if max(pulls, default=0) <= 2:
            return follows
        return Phrase(
            "{follows} faithful = {faithful} overshoots with so few: take more steps, begin later, "
            "or use {fitting}.",
            follows=follows,
            faithful=f"{self.faithful:g}",
            fitting=f"{2 * self.faithful / max(pulls):.1g}",
        )


class EGSDERun(GuideRun):
    """One run of EGSDE.

    Args:
        guide: with its settings.
        run: which it is for.
        y_0: the source, (B, C, H, W).
        area: where it is followed, or ``None``: everywhere.
    """

    def __init__(self, guide: EGSDE, run: Run, y_0: Tensor, area: Tensor | None) -> None:
        self._guide, self._run, self._y_0, self._area = guide, run, y_0, area
        self._phi: LowPass = guide.source.lowpass(run.shape)
        self._e: Tensor | None = None

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """x_0 - (1 - a) / sqrt(a) G."""
        # At alpha = 0, where flow models begin, there is nothing of x_0 in the state.
        if step.alpha == 0:
            return x_0
        a, x = step.a_bar, x_t / step.scale
        y_t = ordinary(math.sqrt(a) * self._y_0.to(x) + math.sqrt(1 - a) * self._noise(x, step))

        def energy(x: Tensor, step: Step) -> Tensor:
            return self._energy(x, y_t, step)

        shift = (1 - a) / math.sqrt(a) * slope(energy, x, step)
        return x_0 - (shift if self._area is None else self._area * shift)

    def _energy(self, x: Tensor, y_t: Tensor, step: Step) -> Tensor:
        """l_s S + l_i I."""
        guide = self._guide
        total = x.new_zeros(len(x))
        if guide.features is not None:
            t = _timesteps(x, step)
            of_x = through(guide.features, x, t)
            with torch.no_grad():
                of_y = through(guide.features, y_t, t)
            cosine = F.cosine_similarity(of_x, of_y, dim=1, eps=1e-10)
            total = total + guide.realism * cosine.flatten(1).mean(1)
        if guide.faithful:
            total = total + guide.faithful * self._phi(x - y_t).square().flatten(1).sum(1)
        return total

    def _noise(self, x: Tensor, step: Step) -> Tensor:
        """e of the source."""
        if not self._guide.shared_noise:
            return self._run.noise.reference(step.call, x.shape).to(x)
        if self._e is None:
            # What the run began with: the source itself, and the noise on it.
            y_t = math.sqrt(step.a_bar) * self._y_0.to(x)
            self._e = (x - y_t) / math.sqrt(1 - step.a_bar)
        return self._e


def _timesteps(x: Tensor, step: Step) -> Tensor:
    return torch.full((len(x),), step.t, dtype=torch.int64, device=x.device)
