"""What goes wrong, why, and what mends it: pairs of pictures from the embedded pixel model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from ilvr_latent import LowPass, Reference, Window, sample
from ilvr_latent.diffusion.denoiser import Denoiser
from ilvr_latent.embedded import load_embedded
from ilvr_latent.pictures.images import to_images
from ilvr_latent.pictures.sheet import Column, contact_sheet

from .against_baseline import contrast, fine_power
from .study import named_references

NAMES = ("noto_pumpkin", "scribble_car", "photo_coffee")
FACTOR = 8.0
HALF = Window(0.0, 0.5)
CALLS = 20


class AliasedLowPass(LowPass):
    """phi_N as it must not be: shrunk by picking pixels out, with no filter before."""

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        height, width = x.shape[-2:]
        small = round(height / self.factor), round(width / self.factor)
        return interpolate(interpolate(x, small, mode="bicubic"), (height, width), mode="bicubic")

    def added(self, x: Tensor, d: Tensor, weight: float | Tensor = 1.0) -> Tensor:
        """x + w phi(d)."""
        return x + weight * self(d)


class AliasedReference(Reference):
    """A reference that is matched by :class:`AliasedLowPass`."""

    def lowpass(self, shape: Sequence[int]) -> LowPass:
        """Not the paper's."""
        return AliasedLowPass(self.factor)


@dataclass(frozen=True)
class Setting:
    """How a column is sampled.

    Attributes:
        label: says what differs between the two of a pair.
        reference: options of the reference.
        sampling: options of :func:`ilvr_latent.sample`.
        aliased: with the low-pass that is none.
    """

    label: str
    reference: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    aliased: bool = False

    def pictures(self, model: Denoiser, y_0: Tensor) -> Tensor:
        """One picture of each reference (B, 3, S, S), seeds 0, 1, 2."""
        kind = AliasedReference if self.aliased else Reference
        chosen: dict[str, Any] = {"factor": FACTOR, "window": HALF} | self.reference
        sampling: dict[str, Any] = {"steps": CALLS} | self.sampling
        x = sample(model, kind(y_0, **chosen), seed=list(range(len(y_0))), **sampling)
        return x.clamp(-1, 1)


@dataclass(frozen=True)
class Failure:
    """A failure mode.

    Attributes:
        name: what it looks like.
        cause: a setting that gives it.
        cure: one that does not.
    """

    name: str
    cause: Setting
    cure: Setting


DDIM = {"sampler": "ddim", "eta": 0.0}
WHOLE = Window()
FAILURES = (
    Failure(
        "blur",
        Setting("ddpm,\n5 calls", sampling={"steps": 5}),
        Setting("ddpm,\n20 calls"),
    ),
    Failure(
        "grain",
        Setting("fixed_large,\n10 calls", sampling={"steps": 10, "variance": "fixed_large"}),
        Setting("fixed_small,\n10 calls", sampling={"steps": 10, "variance": "fixed_small"}),
    ),
    Failure(
        "lost reference",
        Setting("low-pass without\nantialiasing", aliased=True),
        Setting("the paper's\nlow-pass"),
    ),
    Failure(
        "grey wash",
        Setting("weight 0.2,\nrange to 0.5", {"weight": 0.2}, DDIM),
        Setting("weight 1,\nrange to 0.3", {"window": Window(0.0, 0.3)}, DDIM),
    ),
    Failure(
        "copied texture",
        Setting("N = 2,\nwhole range", {"factor": 2.0, "window": WHOLE}),
        Setting("N = 4,\nrange to 0.5", {"factor": 4.0}),
    ),
)


def figure(model: Denoiser | None = None, failures: Sequence[Failure] = FAILURES) -> Image.Image:
    """Every failure beside its cure, with what the study's measures say of it.

    Args:
        model: by default the embedded pixel model.
        failures: what to show.
    """
    model = load_embedded() if model is None else model
    y_0 = named_references(NAMES, model.config.image_size)
    columns = [Column("reference")]
    rows: list[list[Image.Image | None]] = [[picture] for picture in to_images(y_0)]
    for failure in failures:
        cause, cure = (setting.pictures(model, y_0) for setting in (failure.cause, failure.cure))
        for setting, x, gap in ((failure.cause, cause, 20), (failure.cure, cure, 6)):
            fine, colours = fine_power(x) / fine_power(cure), contrast(x) / contrast(y_0)
            label = f"{setting.label}\nfine {fine:.2f}\ncontrast {colours:.2f}"
            columns.append(Column(label, gap, failure.name))
            for row, picture in zip(rows, to_images(x), strict=True):
                row.append(picture)
    title = "What goes wrong: each cause with its cure at its right (N = 8, range to 0.5, 20 calls)"
    return contact_sheet(rows, columns, title=title, cell=128)
