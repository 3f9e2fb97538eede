"""What is compared: a guide and a start, over the one knob that each has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ilvr_latent import ILVR, BandStatistics, Guide, Guides, Reference, Window, recolour

STEPS = 20
# N as a share of the side.
FACTORS, STRENGTHS = (1 / 4, 1 / 8, 1 / 16, 1 / 32), (0.9, 0.7, 0.5, 0.3)
# Of the style, beside ILVR at one N.
WEIGHTS, AT = (1.0, 0.4, 0.2, 0.1), 1 / 16
HELD = Window(0.0, 0.8)


@dataclass(frozen=True)
class Setup:
    """How one picture is made.

    Attributes:
        guide: ``None`` for none.
        start: what it begins from; ``None`` is noise.
        strength: how much of the run is taken.
    """

    guide: Guide | None
    start: Tensor | None = None
    strength: float = 1.0


@dataclass(frozen=True)
class Way:
    """One curve.

    Attributes:
        name: in the table.
        knob: what is varied, ``N``, ``strength`` or ``weight``.
        values: of it, the loosest first.
        shown: the value whose pictures are shown.
        setup: of layouts, styles and a value.
    """

    name: str
    knob: str
    values: tuple[float, ...]
    shown: float
    setup: Callable[[Tensor, Tensor, float], Setup]

    def text(self, value: float) -> str:
        """The knob at a value."""
        return f"N = 1/{1 / value:g}" if self.knob == "N" else f"{self.knob} {value:g}"


def style_of(b: Tensor, weight: float = 1.0) -> BandStatistics:
    """As it comes: up to an eighth of the side, and the palette."""
    return BandStatistics(b, weight=weight)


def _held(a: Tensor, factor: float) -> ILVR:
    return ILVR(Reference(a, factor, HELD, factor_unit="share"))


def _ilvr(a: Tensor, b: Tensor, n: float) -> Setup:
    return Setup(_held(a, n))


def _ilvr_recoloured(a: Tensor, b: Tensor, n: float) -> Setup:
    return Setup(_held(recolour(a, b), n))


def _sdedit(a: Tensor, b: Tensor, strength: float) -> Setup:
    return Setup(None, a, strength)


def _sdedit_recoloured(a: Tensor, b: Tensor, strength: float) -> Setup:
    return Setup(None, recolour(a, b), strength)


def _ilvr_and_style(a: Tensor, b: Tensor, n: float) -> Setup:
    return Setup(Guides(_held(a, n), style_of(b)))


def _by_weight(a: Tensor, b: Tensor, weight: float) -> Setup:
    return Setup(Guides(_held(a, AT), style_of(b, weight)))


def _fine_and_palette(a: Tensor, b: Tensor, n: float) -> Setup:
    """The complement: A's details in their places, in B's colours; its light is free."""
    fine = Reference(a, n, HELD, factor_unit="share", band="fine")
    return Setup(Guides(ILVR(fine), BandStatistics(b, 1.0, factor_unit="cells")))


def _sdedit_and_style(a: Tensor, b: Tensor, strength: float) -> Setup:
    return Setup(style_of(b), recolour(a, b), strength)


WAYS = (
    Way("ILVR", "N", FACTORS, 1 / 16, _ilvr),
    Way("ILVR, A recoloured", "N", FACTORS, 1 / 16, _ilvr_recoloured),
    Way("SDEdit", "strength", STRENGTHS, 0.5, _sdedit),
    Way("SDEdit, A recoloured", "strength", STRENGTHS, 0.5, _sdedit_recoloured),
    Way("ILVR and style", "N", FACTORS, 1 / 16, _ilvr_and_style),
    Way("ILVR, weight of style", "weight", WEIGHTS, 0.2, _by_weight),
    Way("SDEdit and style", "strength", STRENGTHS, 0.5, _sdedit_and_style),
    Way("Fine band, palette", "N", FACTORS[:2], 1 / 8, _fine_and_palette),
)
