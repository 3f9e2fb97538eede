"""Style of a picture without its places: the statistics of its bands.

    x_0   clean estimate       b_k   band k of it: phi_{N/2^(k+1)} - phi_{N/2^k}, the finest 1 - phi
    y     style reference      T_k   moves means and covariances of channels, over all places
    w     weight               c     the coarse band, phi_N

    x_0 <- x_0 + w [ sum_k (T_k(b_k) - b_k) + T(c) - c ]      T_k to the statistics of y's band k
                                                              T   to those of y as a whole

Block AdaIN of SDDM (arXiv 2308.02154) holds a picture's statistics block by block, so layout comes
with them; here they are those of the whole picture, band by band, as in texture synthesis by
pyramids (Heeger and Bergen, SIGGRAPH 1995). Where things are is left to the model, and to a
reference of ILVR beside this one: layout of A, style of B. Of the coarse band the colours are
taken over and the places stay; its contrast becomes that of y as a whole, since a texture has none
in its own coarse band, and would wipe the layout out.

No network is asked, there are no gradients and no random numbers; only predictions are changed, so
that any sampler serves.
"""

from __future__ import annotations

import itertools
from typing import get_args

import torch
from torch import Tensor

from ..diffusion.guide import GuideRun, Run
from ..diffusion.schedule import Step
from ..errors import InputError, check_choice
from ..phrases import Phrase, spans
from .ilvr import Placed
from .lowpass import Kernel, LowPass, wide
from .reference import FactorUnit, Reference
from .transport import ColourTransport, Moments, colour_statistics
from .weight import Weight
from .window import Window

# The last octave: what is finer is one band.
FINEST = 2.0
# Where style ends and layout begins, as a share of the side, unless something else is said.
STYLE_FACTOR = 0.125


class BandStatistics:
    """Take the style of a picture, whatever its places; a guide.

    Beside ILVR it may stand before or after; after it, in the space of predictions too, the held
    layout is given the colours of the style.

    Args:
        style: (B, C, H, W) in [-1, 1], or a latent; B = 1, or a divisor of the sample's batch.
        factor: the largest N that counts as style; 1 cell takes its colours alone.
        factor_unit: a ``share`` of the shorter side, or ``cells``.
        moments: what is taken over beside the means, all of the ``covariance`` of the channels, or
            the ``deviation`` of each.
        palette: also move the colours of what is coarser than N.
        window: which steps are guided; ``None`` = all.
        weight: 0 (off) to 1, or a schedule of it over the window.
        mask: where, 1 = fully, broadcastable to (B, 1, H, W); ``None`` = everywhere.
        kernel: of phi. With ``spectral`` and ``box``, projectors, no band has a share in another,
            so that all statistics can be had at once.

    Raises:
        InputError: the picture, a number or a choice cannot be used.
    """

    def __init__(
        self,
        style: Tensor,
        factor: float = STYLE_FACTOR,
        *,
        factor_unit: FactorUnit = "share",
        moments: Moments = "covariance",
        palette: bool = True,
        window: Window | None = None,
        weight: Weight = 1.0,
        mask: Tensor | None = None,
        kernel: Kernel = "spectral",
    ) -> None:
        check_choice("moments", moments, get_args(Moments))
        reference = Reference(
            style,
            factor,
            factor_unit=factor_unit,
            window=window or Window(),
            weight=weight,
            mask=mask,
            kernel=kernel,
        )
        self.references = (reference,)
        self.moments: Moments = moments
        self.palette = palette

    def begin(self, run: Run) -> GuideRun | None:
        """Measure the style; ``None`` where nothing is taken over.

        Raises:
            InputError: the reference does not fit the run, its window holds no step, or with
                N = 1 and no palette nothing is left to do.
        """
        placed = Placed(self.references[0], run)
        if placed.lowpass.factor == 1 and not self.palette:
            raise InputError(
                "With N = 1 and no palette there is no band to take over; use a factor above 1."
            )
        run.tell(self._in_words(placed))
        return _StyleRun(placed, self.moments, palette=self.palette) if placed.weights else None

    def _in_words(self, placed: Placed) -> Phrase:
        if not placed.weights:
            return Phrase("Takes over no style.")
        factor, cell = placed.lowpass.factor, placed.cell
        return Phrase(
            "Takes colours and contrasts up to {factor} pixels in steps {steps} of {count}."
            if cell == 1
            else "Takes colours and contrasts up to {factor} cells in steps {steps} of {count}.",
            factor=f"{factor:.3g}",
            steps=spans(sorted(placed.weights)),
            count=placed.steps,
        )


class _StyleRun(GuideRun):
    def __init__(self, placed: Placed, moments: Moments, *, palette: bool) -> None:
        self._placed, self._moments, self._palette = placed, moments, palette
        self._split = Bands(placed.lowpass.factor, placed.lowpass.kernel)
        *fine, _ = self._split(placed.y_0)
        style = [*fine, placed.y_0] if palette else fine
        self._transport = ColourTransport(colour_statistics(_vectors(style), moments))

    def prediction(self, x_0: Tensor, x_t: Tensor, step: Step) -> Tensor:
        weight = self._placed.weight_of_prediction(step)
        if not weight:
            return x_0
        bands = self._split(wide(x_0))
        z = _vectors(bands if self._palette else bands[:-1])
        area = self._area_of_places(x_0)
        own = colour_statistics(z, self._moments, area)
        change = weight * self._transport.change(z, own).sum(0)
        if area is not None:
            change = area * change
        return x_0 + change.reshape(x_0.shape).to(x_0)

    def _area_of_places(self, x_0: Tensor) -> Tensor | None:
        """(B, 1, places), or ``None``: everywhere."""
        if self._placed.area is None:
            return None
        return self._placed.area.expand(x_0.shape).flatten(2).mean(1, keepdim=True)


class Bands:
    """A picture (..., H, W) as bands whose sum it is, the finest first.

    Args:
        factor: N of the last one, which is phi_N.
        kernel: of phi.
    """

    def __init__(self, factor: float, kernel: Kernel = "spectral") -> None:
        factors = [factor] if factor > 1 else []
        while factors and factors[0] >= 2 * FINEST:
            factors.insert(0, factors[0] / 2)
        self._lowpasses = [LowPass(n, kernel) for n in factors]

    def __call__(self, x: Tensor) -> list[Tensor]:
        """All bands, the coarse one last."""
        low = [x, *(phi(x) for phi in self._lowpasses)]
        return [*(fine - coarse for fine, coarse in itertools.pairwise(low)), low[-1]]


def _vectors(bands: list[Tensor]) -> Tensor:
    """Of bands (B, C, ..., H, W), all channels of all places, (bands, B, C, places)."""
    return torch.stack(bands).flatten(3)
