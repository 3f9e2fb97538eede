"""Which rows the study has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ilvr_latent.diffusion.noise import ReferenceNoise
from ilvr_latent.guides.ilvr import Space

# The whole range, and one that leaves the second half of the timesteps to the model.
WHOLE, HALF = 1.0, 0.5
# The call count at which spaces and noises are compared, and what rows are compared with.
COMPARED_CALLS = 20
BASELINE = "ddpm"
# Beyond so many, DDPM and DDIM alone go on.
FEW_CALLS, SOME_CALLS = 50, 100

CORE_SAMPLERS = (
    *("ddpm", "ddpm, fixed large", "ddim, eta 0", "ddim, eta 1"),
    *("dpmpp_2m", "unipc", "unipc_damped", "unipc_damped, early"),
)
SECOND_ORDER = CORE_SAMPLERS[-4:]
# Its `ddim` is its `euler`, so that one row is both.
HOST_SAMPLERS = ("ddpm", "ddim", "dpmpp_2m", "uni_pc")
USUAL_SCHEDULER, OTHER_SCHEDULERS = "normal", ("karras", "beta")
HIGH_ORDER = ("dpmpp_2m", "uni_pc")


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        sampler: of :data:`CORE_SAMPLERS` or, with a scheduler, of ComfyUI.
        steps: of the sampler; the calls of the network are counted.
        end: where the conditioning range ends.
        space: what is matched.
        noise: of the reference.
        scheduler: of ComfyUI; empty for the core's samplers.
        picture: the finished picture is matched too, as by ``--match-picture``.
    """

    sampler: str
    steps: int
    end: float = WHOLE
    space: Space = "state"
    noise: ReferenceNoise = "fresh"
    scheduler: str = ""
    picture: bool = False

    @property
    def name(self) -> str:
        """For files."""
        sampler = self.sampler.replace(", ", "-").replace(" ", "")
        host = f"comfyui-{self.scheduler}-" if self.scheduler else ""
        after = "_picture" if self.picture else ""
        return f"{host}{sampler}_{self.steps}_end{self.end:g}_{self.space}_{self.noise}{after}"

    @property
    def matching(self) -> str:
        """For the table; matched on the prediction, the reference has no noise."""
        matching = self.space if self.space == "prediction" else f"{self.space}, {self.noise}"
        return f"{matching}; picture" if self.picture else matching


def core_rows(calls: Sequence[int]) -> list[Row]:
    """What the core's samplers draw.

    Args:
        calls: ascending; the last is that of the baseline.
    """
    few = [n for n in calls if n <= FEW_CALLS]
    rows = [Row(BASELINE, n, end) for end in (WHOLE, HALF) for n in (calls[-1], *few)]
    rows += [Row(sampler, n) for sampler in (BASELINE, "ddim, eta 0") for n in calls]
    rows += [Row("ddim, eta 1", n) for n in few]
    rows += [Row("ddim, eta 0", n, HALF) for n in few]
    rows += [Row("ddpm, fixed large", n, end) for end in (WHOLE, HALF) for n in few[:2]]
    rows += [
        Row(sampler, n, end, noise="hybrid")
        for sampler in SECOND_ORDER
        for end in (WHOLE, HALF)
        for n in few[:2]
    ]
    rows += [Row(sampler, few[0], noise="hybrid", picture=True) for sampler in SECOND_ORDER]
    for end in (WHOLE, HALF):
        for sampler in (BASELINE, "ddim, eta 0"):
            rows += matchings(Row(sampler, COMPARED_CALLS, end))
    return list(dict.fromkeys(rows))


def matchings(row: Row) -> Iterator[Row]:
    """A row with every space and noise."""
    kinds: tuple[Literal["fresh", "fixed", "hybrid"], ...] = ("fresh", "fixed", "hybrid")
    for noise in kinds:
        yield replace(row, noise=noise)
    yield replace(row, space="prediction")


def host_rows(calls: Sequence[int]) -> list[Row]:
    """What ComfyUI's samplers draw, with the noise that ILVR Apply has by default."""
    rows = []
    for sampler in HOST_SAMPLERS:
        most = SOME_CALLS if sampler in HIGH_ORDER else FEW_CALLS
        for n in calls:
            row = Row(sampler, n, noise="hybrid", scheduler=USUAL_SCHEDULER)
            half = replace(row, end=HALF)
            if n <= most:
                rows.append(row)
            if n == COMPARED_CALLS or (sampler in HIGH_ORDER and n <= FEW_CALLS):
                rows.append(half)
            if n == COMPARED_CALLS:
                rows += [replace(half, scheduler=other) for other in OTHER_SCHEDULERS]
    return rows


def in_order(rows: Sequence[Row]) -> list[Row]:
    """As the table has them: by range, sampler, matching and calls."""
    return sorted(
        rows,
        key=lambda row: (
            -row.end,
            row.scheduler != "",
            (HOST_SAMPLERS if row.scheduler else CORE_SAMPLERS).index(row.sampler),
            row.scheduler != USUAL_SCHEDULER,
            row.scheduler,
            row.space != "state",
            ("fresh", "fixed", "hybrid").index(row.noise),
            row.picture,
            row.steps,
        ),
    )
