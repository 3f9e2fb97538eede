"""SDDM: Score-Decomposed Diffusion Models on Manifolds, arXiv 2308.02154.

One step, from alpha-bar a to p (alpha = a / p, beta = 1 - alpha), at states whose blocks have the
statistics of the reference at that level:

    m_t = sqrt(a) m,   s_t^2 = a s^2 + 1 - a                the manifold: a sphere in each block
    d   = mu - x_t / sqrt(alpha) = d_m + d_o                the model's way, d_m along the sphere
    e_j = tangent part of -grad E_j(x_t), as long as  weight beta / sqrt(alpha) |d_m|
    mu' = mu + (min-norm point of the hull of d_m, e_1 ..) - d_m
    x_{t-1} = R_p(mu' + sqrt(variance) z)                   R_t: block AdaIN, back to the sphere

    m, s   block means and standard deviations of the reference     mu    posterior mean
    x_0    clean estimate            x_t   state                    E_j   energies

d is -beta / sqrt(alpha (1 - a)) eps, and merging keeps directions whatever their common length. So
what is done to mu is done here to x_0, from which mu follows in a straight line: exactly the same
under DDPM, and every other sampler can take it too. A state is taken back to the sphere where the
network sees it next. Without energies only that is left; with the means alone it is then ILVR with
the box kernel and a reference without noise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..diffusion.gradients import ordinary
from ..diffusion.guide import Denoise, GuideRun, Run
from ..diffusion.reverse import Transition
from ..diffusion.schedule import Step
from ..errors import InputError
from ..phrases import Phrase, spans
from .blocks import (
    ReferenceStatistics,
    block_adain,
    block_statistics,
    blocked,
    check_blocks,
    tangent_split,
    unblocked,
)
from .energy import AnyEnergy, Energy, energy_in, slope
from .min_norm import min_norm
from .reference import Reference
from .window import Window

# Along the sphere, so many roundings of a slope are none.
FLAT = 100


class SDDM:
    """SDDM with its settings; see :class:`ilvr_latent.diffusion.Guide`.

    Args:
        reference: (B, C, H, W) in [-1, 1], or a latent; B = 1, or a divisor of the sample's batch.
        blocks: n, along each side; a size that it does not divide is refused.
        energies: each a function of (x, step) or of x to (B,), lower is better, x the state with
            alpha^2 + sigma^2 = 1; :func:`.energy.feature_energy` is the paper's.
        weight: of the energies; 0 is without them.
        range_t: steps at the end that are the sampler's own (the authors count respaced steps and
            have 50 of 100); 0 leaves the last.
        per_block: merge in each block and channel, in place of each channel.
        repeats: of the authors' code: so many moves to the mean, without noise, before the last
            guided step. It then goes on from a mean that is one move old, which is repeated here.
        project_start: take x_T to the manifold too, as the authors' README has it and their code
            has not.
        deviations: hold the standard deviations of the blocks; if not, their means alone.
        window: which steps are guided, in place of ``range_t``.
        mask: where, 1 = fully, broadcastable to (B, 1, H, W); ``None`` = everywhere.

    Raises:
        InputError: the reference or a number cannot be used.
    """

    def __init__(
        self,
        reference: Tensor,
        *,
        blocks: int = 16,
        energies: Sequence[AnyEnergy] = (),
        weight: float = 25.0,
        range_t: int = 0,
        per_block: bool = False,
        repeats: int = 0,
        project_start: bool = False,
        deviations: bool = True,
        window: Window | None = None,
        mask: Tensor | None = None,
    ) -> None:
        for name, value, least in (
            ("number of blocks", blocks, 1),
            ("range_t", range_t, 0),
            ("number of repeats", repeats, 0),
        ):
            if value < least:
                raise InputError(f"The {name} is {value}; use a whole number of at least {least}.")
        if not (math.isfinite(weight) and weight >= 0):
            raise InputError(f"The weight of the energies is {weight}; use 0 (off) or more.")
        # N = 1: all of the picture is looked at; checked and placed as any reference is.
        self.reference = Reference(reference, 1.0, mask=mask)
        self.window, self.range_t = window, range_t
        self.blocks, self.deviations, self.project_start = blocks, deviations, project_start
        self.energies = tuple(energies) if weight else ()
        self.weight, self.per_block, self.repeats = float(weight), per_block, repeats

    def begin(self, run: Run) -> SDDMRun | None:
        """Place the reference; ``None`` where no step is guided.

        Raises:
            InputError: the size does not divide into blocks, the reference or an energy does not
                fit, or the window holds no step.
        """
        window = self.window or self._before_range_t(len(run.schedule))
        if window is None:
            run.tell(
                Phrase(
                    "Guides no step of {count}: range_t is {range_t}.",
                    count=len(run.schedule),
                    range_t=self.range_t,
                )
            )
            return None
        check_blocks(run.shape, self.blocks)
        reference = dataclasses.replace(self.reference, window=window)
        guided = frozenset(reference.step_weights(run))
        y_0, area = reference.placed(run)
        y_0 = ordinary(y_0)
        energies = [energy_in(energy, run, y_0) for energy in self.energies]
        run.tell(self._in_words(run, guided))
        return SDDMRun(self, run, window, guided, y_0, area, energies)

    def _before_range_t(self, steps: int) -> Window | None:
        """All steps but the last range_t + 1 of a run."""
        last = steps - 2 - self.range_t
        return Window.steps(0, last) if last >= 0 else None

    def _in_words(self, run: Run, guided: frozenset[int]) -> Phrase:
        height, width = (side // self.blocks for side in run.shape[-2:])
        count = len(run.schedule)
        when = Phrase("in none of the steps of {count}", count=count)
        if guided:
            steps = spans(sorted(guided))
            when = Phrase("in steps {steps} of {count}", steps=steps, count=count)
        return Phrase(
            "Holds blocks of {width}x{height} pixels {when}."
            if run.cell == 1
            else "Holds blocks of {width}x{height} cells {when}.",
            width=width,
            height=height,
            when=when,
        )


class SDDMRun(GuideRun):
    """One run of SDDM.

    Args:
        guide: with its settings.
        run: which it is for.
        window: which steps are guided.
        guided: those of the schedule that are.
        y_0: the reference, (B, C, H, W).
        area: where, or ``None``: everywhere.
        energies: as the run needs them.
    """

    def __init__(
        self,
        guide: SDDM,
        run: Run,
        window: Window,
        guided: frozenset[int],
        y_0: Tensor,
        area: Tensor | None,
        energies: Sequence[Energy],
    ) -> None:
        self._guide, self._run, self._window, self._guided = guide, run, window, guided
        self._energies, self._area = energies, area
        self._blocks = guide.blocks
        self._statistics = ReferenceStatistics(y_0.to, guide.blocks)
        self._repeated = max(guided, default=None) if guide.repeats else None

    @property
    def hooks(self) -> frozenset[str]:
        """The predictions are needed for energies, and the network for repeats."""
        return frozenset(
            {"state"}
            | ({"prediction"} if self._energies else set())
            | ({"denoise"} if self._guide.repeats else set())
        )

    def state(self, x_t: Tensor, step: Step) -> Tensor:
        """R_t of what the step before has produced."""
        if not self._is_to_be_on_the_manifold(step):
            return x_t
        x = x_t / step.scale
        a, (m, s) = step.a_bar, self._statistics(x)
        s_t = (a * s.square() + 1 - a).sqrt()
        if not self._guide.deviations:
            _, s_t = block_statistics(x, self._blocks)
        placed = block_adain(x, math.sqrt(a) * m, s_t, self._blocks)
        return x_t + self._in_area(placed * step.scale - x_t).to(x_t)

    def _is_to_be_on_the_manifold(self, step: Step) -> bool:
        if self._window.gate == "level":
            return self._window.contains(step)
        if step.index == 0:
            return self._guide.project_start and 0 in self._guided
        return step.index - 1 in self._guided

    def _is_guided(self, step: Step) -> bool:
        if self._window.gate == "level":
            return self._window.contains(step)
        return step.index in self._guided

    def _in_area(self, change: Tensor) -> Tensor:
        return change if self._area is None else self._area * change

    def denoise(self, denoiser: Denoise, x_t: Tensor, step: Step) -> Tensor:
        """The authors' moves before the last guided step, where they are wanted."""
        if step.index != self._repeated:
            return denoiser(x_t)
        a, p = step.a_bar, self._run.schedule.a_bar_next(step.index)
        transition = Transition(a, p, 0.0)
        x = x_t / step.scale
        for _ in range(self._guide.repeats):
            mu = transition.posterior_mean(denoiser(x * step.scale), x)
            x = self._guided_mean(mu, x, step, p)
        # With the mean of the state before the last move, as their code has it.
        wanted = self._guided_mean(mu, x, step, p)
        # The x_0 whose posterior mean, from the state as it was, is the wanted one.
        rest = transition.posterior_mean(torch.zeros_like(x), x_t / step.scale)
        return (wanted - rest) * ((1 - a) / (math.sqrt(p) * transition.beta))

    def _guided_mean(self, mu: Tensor, x: Tensor, step: Step, p: float) -> Tensor:
        return mu + self._shift(mu - x * math.sqrt(p / step.a_bar), x, step)

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        """x_0 whose posterior mean is mu'."""
        # At alpha = 0, where flow models begin, there is nothing of x_0 in the state.
        done = step.index == self._repeated or step.alpha == 0
        if not self._energies or done or not self._is_guided(step):
            return x_0
        x, root = x_t / step.scale, math.sqrt(step.a_bar)
        # sqrt(a) x_0 - x_t is -sqrt(1 - a) eps, which has d's direction.
        return x_0 + self._shift(root * x_0 - x, x, step) / root

    def _shift(self, d: Tensor, x: Tensor, step: Step) -> Tensor:
        """The merged direction without d_m, where d is the model's own way from x in any length."""
        a, p = step.a_bar, self._run.schedule.a_bar_next(step.index)
        m_t = math.sqrt(a) * self._statistics(x)[0]
        d_m, _ = tangent_split(x, d, m_t, self._blocks)
        length = self._guide.weight * (1 - a / p) * math.sqrt(p / a) * _norm(d_m)
        directions = [d_m]
        for energy in self._energies:
            g = slope(energy, x, step)
            e, _ = tangent_split(x, -g, m_t, self._blocks)
            norm = _norm(e)
            # An energy that is flat along the sphere has no direction: the hull is without it.
            flat = norm <= FLAT * torch.finfo(g.dtype).eps * _norm(g)
            directions.append(torch.where(flat, d_m, length / norm * e))
        return self._in_area(self._merged(directions) - d_m)

    def _merged(self, directions: Sequence[Tensor]) -> Tensor:
        """The min-norm point for each image and channel, or each of their blocks."""
        if len(directions) == 1:
            return directions[0]
        parts = self._blocks if self._guide.per_block else 1
        cells = [blocked(direction, parts) for direction in directions]
        merged, _ = min_norm(torch.stack([cell.flatten(-2) for cell in cells], -2))
        return unblocked(merged.reshape(cells[0].shape))


def _norm(v: Tensor) -> Tensor:
    """Of each image and channel."""
    norm: Tensor = torch.linalg.vector_norm(v, dim=(-2, -1), keepdim=True)
    return norm
