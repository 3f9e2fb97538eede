"""The table of recipes; :mod:`.recipes` applies them.

N       factor      the paper's, for pictures of 256 pixels: N / 256 of the side is free
(a, b)  range       the reference is followed from t = a down to t = b, of T = 1000
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .errors import InputError
from .guides.reference import Reference
from .guides.window import Window
from .methods import Method

# What the paper's N and its timesteps are counted in.
SIDE, T = 256, 1000


@dataclass(frozen=True)
class Recipe:
    """One application, with the settings that the paper gives it.

    Attributes:
        name: as ``ilvr sample --recipe`` takes it.
        purpose: what it is for.
        reference: what the reference should be.
        factors_at_256: N for pictures of 256 pixels; several make several sets.
        timesteps: first and last timestep of the conditioning range, of 1000.
        source: where the settings are from.
        masked: whether it needs a mask.
        methods: the first is what follows the reference; the others may be chosen in its place.
        classifier_scale: of guidance towards a class, which the recipe then needs; 0 is without.
    """

    name: str
    purpose: str
    reference: str
    factors_at_256: tuple[int, ...]
    timesteps: tuple[int, int]
    source: str
    masked: bool = False
    methods: tuple[Method, ...] = (Method(),)
    classifier_scale: float = 0.0

    @property
    def method(self) -> Method:
        """What follows the reference."""
        return self.methods[0]

    @property
    def window(self) -> Window:
        """The conditioning range, for models of any number of timesteps."""
        return window_of_thousand(*self.timesteps)

    def factors(self, side: int) -> tuple[float, ...]:
        """N, as the same share of the picture's side, and at least 1; each once.

        Args:
            side: the shorter side, in pixels or in latent cells.
        """
        return tuple(dict.fromkeys(max(1.0, n * side / SIDE) for n in self.factors_at_256))

    def references(
        self,
        image: Tensor,
        *,
        factors: Sequence[float] | None = None,
        window: Window | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Reference, ...]:
        """The image, matched as the recipe says: a reference for each N.

        Args:
            image: (B, C, H, W) in [-1, 1], or a latent; N is a share of its shorter side.
            factors: N in place of the recipe's.
            window: in place of the recipe's.
            mask: where to match, 1 = fully, broadcastable to (B, 1, H, W).

        Raises:
            InputError: the recipe needs a mask and there is none, or a value cannot be used.
        """
        if self.masked and mask is None:
            raise InputError(
                f"The recipe {self.name!r} needs a mask that is 1 where the picture is kept and 0 "
                "where it is to be made anew; give one."
            )
        factors = factors if factors is not None else self.factors(min(image.shape[-2:]))
        return tuple(Reference(image, n, window=window or self.window, mask=mask) for n in factors)


TRANSLATE = Recipe(
    "translate",
    "a picture of an unseen domain becomes one of the model's (cat to dog, portrait to face)",
    "a picture of another domain with the layout of the model's own pictures",
    (32,),
    (1000, 200),
    "figure 1 (b); N and range of the authors' example (down_N 32, range_t 20 of 100 steps)",
)
PAINT_TO_IMAGE = Recipe(
    "paint-to-image",
    "a painting, a clip art or a child's drawing becomes a picture of the model's domain",
    "a picture with unnatural texture and edges, whose colours are where they should be",
    (64,),
    (1000, 200),
    "figure 1 (c); range as for translate",
)
EDIT_SCRIBBLE = Recipe(
    "edit-scribble",
    "strokes painted on a picture become part of it, and the rest stays as it is",
    "a picture of the model's own domain, with the strokes on it",
    (8,),
    (1000, 200),
    "figure 1 (d)",
)
VARY_FACTOR = Recipe(
    "vary-factor",
    "pictures ever less like the reference: from a near copy to its colours alone",
    "any picture",
    (4, 8, 16, 32, 64),
    (1000, 0),
    "figure 1 (a)",
)
INPAINT = Recipe(
    "inpaint",
    "a hole in a picture is filled, and the picture around it stays",
    "the picture, with a mask that is white where it is kept",
    (1,),
    (1000, 0),
    "eq. 8 with N = 1 under a mask; not one of the paper's applications",
    masked=True,
)

DOMAIN_TRANSLATE = Recipe(
    "domain-translate",
    "a picture of another style becomes one of the model's, led away from its own by a classifier",
    "a picture of another domain with the layout of the model's own pictures",
    (32,),
    (1000, 0),
    "EGSDE (arXiv 2207.06635), its cat to dog; or SDDM (2308.02154), by --method sddm",
    methods=(Method("egsde"), Method("sddm", energy_weight=25.0)),
)
GUIDED_CLASS = Recipe(
    "guided-class",
    "the colours and the layout of a picture, as something of the class that is named",
    "any picture with colours in the places where they should be",
    (64,),
    (1000, 700),
    "ILVR with classifier guidance (arXiv 2105.05233); N, range and scale chosen by eye",
    classifier_scale=10.0,
)

_ALL = (
    *(TRANSLATE, PAINT_TO_IMAGE, EDIT_SCRIBBLE, VARY_FACTOR, INPAINT),
    *(DOMAIN_TRANSLATE, GUIDED_CLASS),
)
RECIPES = {recipe.name: recipe for recipe in _ALL}


def window_of_thousand(hi: int, lo: int) -> Window:
    """A range of 1000 timesteps, for a model of any number of them."""
    return Window(1 - hi / T, 1 - lo / T)


def find_recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        InputError: there is none.
    """
    if name not in RECIPES:
        raise InputError(f"There is no recipe {name!r}; use one of {', '.join(RECIPES)}.")
    return RECIPES[name]
