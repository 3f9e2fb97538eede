"""The conventions of the paper's own code (jychoi118/ilvr_adm), where they differ from the paper.

    index    respaced index, n-1 .. 0          range_t    a step is matched while index > range_t

The reference is noised one level too high: x_{t-1} is matched with y_t. So the finished picture,
which would be matched with a noisy reference, never is, and neither is x_T.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..diffusion.guide import Run
from ..diffusion.noise import ReferenceNoise
from ..diffusion.schedule import Schedule, Step
from ..errors import InputError
from ..guides.ilvr import ILVR, ILVRRun, Placed
from ..guides.reference import Reference, Space
from ..guides.window import Window


class AuthorsILVR(ILVR):
    """ILVR as the authors' code has it.

    Args:
        references: their windows are replaced.
        schedule: of the run.
        range_t: 0 to n - 2; ``None`` is 0.
        space: see :class:`~ilvr_latent.guides.ilvr.ILVR`.
        reference_noise: see there.

    Raises:
        InputError: with this range_t no step would be matched.
    """

    def __init__(
        self,
        references: Sequence[Reference],
        schedule: Schedule,
        range_t: int | None = None,
        *,
        space: Space | None = None,
        reference_noise: ReferenceNoise | None = None,
    ) -> None:
        window = authors_window(schedule, range_t)
        super().__init__(
            [dataclasses.replace(reference, window=window) for reference in references],
            space=space,
            reference_noise=reference_noise,
        )

    def run(self, placed: Sequence[Placed], run: Run) -> ILVRRun:
        """One run with the authors' level of noise."""
        return _AuthorsRun(placed, run)


class _AuthorsRun(ILVRRun):
    def level(self, step: Step) -> Step:
        """That of the step that produced the state, and not of the state."""
        return self._run.schedule.steps[step.index - 1]


def authors_window(schedule: Schedule, range_t: int | None) -> Window:
    """The steps whose respaced index (0 = the last step) is above ``range_t``.

    Raises:
        InputError: no step is.
    """
    highest = len(schedule) - 2
    range_t = 0 if range_t is None else range_t
    if not 0 <= range_t <= highest:
        raise InputError(
            f"range_t is {range_t}, but with {len(schedule)} steps it must be from 0 to {highest} "
            "for any step to be matched."
        )
    return Window.steps(0, highest - range_t)
