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
# Nearer to A: to here, and in pixels with N of two. Never less than a cell.
LONGER, NEARER = Window(0.0, 0.9), 1 / 32


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
        shown: the value whose pictures are shown; ``None`` for none.
        setup: of layouts, styles and a value.
        beside: what else the knob stands for, where a way has more than one row of values.
    """

    name: str
    knob: str
    values: tuple[float, ...]
    shown: float | None
    setup: Callable[[Tensor, Tensor, float], Setup]
    beside: str = ""

    def text(self, value: float) -> str:
        """The knob at a value."""
        said = f"N = 1/{1 / value:g}" if self.knob == "N" else f"{self.knob} {value:g}"
        return said + self.beside


def style_of(b: Tensor, weight: float = 1.0) -> BandStatistics:
    """As it comes: up to an eighth of the side, and the palette."""
    return BandStatistics(b, weight=weight)


def _held(a: Tensor, factor: float, window: Window = HELD) -> ILVR:
    return ILVR(Reference(a, factor, window, factor_unit="share"))


def _ilvr(a: Tensor, b: Tensor, n: float) -> Setup:
    return Setup(_held(a, n))


def _ilvr_recoloured(a: Tensor, b: Tensor, n: float) -> Setup:
    return Setup(_held(recolour(a, b), n))


def _longer(a: Tensor, b: Tensor, n: float) -> Setup:
    return Setup(_held(a, n, LONGER))


def _longer_recoloured(a: Tensor, b: Tensor, n: float) -> Setup:
    return Setup(_held(recolour(a, b), n, LONGER))


def _sdedit(a: Tensor, b: Tensor, strength: float) -> Setup:
    return Setup(None, a, strength)


def _sdedit_recoloured(a: Tensor, b: Tensor, strength: float) -> Setup:
    return Setup(None, recolour(a, b), strength)


def _ilvr_and_style(a: Tensor, b: Tensor, n: float) -> Setup:
    return Setup(Guides(_held(a, n), style_of(b)))


def _by_weight(a: Tensor, b: Tensor, weight: float) -> Setup:
    return Setup(Guides(_held(a, AT), style_of(b, weight)))


def _longer_by_weight(a: Tensor, b: Tensor, weight: float) -> Setup:
    return Setup(Guides(_held(a, NEARER, LONGER), style_of(b, weight)))


def _fine_and_palette(a: Tensor, b: Tensor, n: float) -> Setup:
    """The complement: A's details in their places, in B's colours; its light is free."""
    fine = Reference(a, n, HELD, factor_unit="share", band="fine")
    return Setup(Guides(ILVR(fine), BandStatistics(b, 1.0, factor_unit="cells")))


def _sdedit_and_style(a: Tensor, b: Tensor, strength: float) -> Setup:
    return Setup(style_of(b), recolour(a, b), strength)


TO = f", to {LONGER.end:g}"
WAYS = (
    Way("ILVR", "N", FACTORS, 1 / 16, _ilvr),
    Way("ILVR", "N", FACTORS[2:], None, _longer, TO),
    Way("ILVR, A recoloured", "N", FACTORS, 1 / 16, _ilvr_recoloured),
    Way("ILVR, A recoloured", "N", FACTORS[2:], None, _longer_recoloured, TO),
    Way("SDEdit", "strength", STRENGTHS, 0.5, _sdedit),
    Way("SDEdit, A recoloured", "strength", STRENGTHS, 0.5, _sdedit_recoloured),
    Way("ILVR and style", "N", FACTORS, 1 / 16, _ilvr_and_style),
    Way("ILVR, weight of style", "weight", WEIGHTS, 0.2, _by_weight),
    Way("ILVR held longer, weight of style", "weight", WEIGHTS, None, _longer_by_weight),
    Way("SDEdit and style", "strength", STRENGTHS, 0.5, _sdedit_and_style),
    Way("Fine band, palette", "N", FACTORS[:2], 1 / 8, _fine_and_palette),
)
