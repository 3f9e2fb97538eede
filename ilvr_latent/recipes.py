"""The applications of ILVR (arXiv 2108.02938, figure 1) as recipes: which N, which range, what for.

    N       factor      the paper's, for pictures of 256 pixels: N / 256 of the side is free
    (a, b)  range       the reference is followed from t = a down to t = b, of T = 1000

>>> from ilvr_latent import apply_recipe, load_embedded
>>> model = load_embedded()
>>> pictures = apply_recipe("translate", model, image, seeds=(0, 1, 2))  # (3, 3, 64, 64), N = 8
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .diffusion.denoiser import Denoiser
from .errors import InputError
from .guides.reference import Reference
from .guides.window import Window
from .sampling import sample

# What the paper's N and its timesteps are counted in.
SIDE, T = 256, 1000
# Fewer than the figure on conditioning ranges of the paper has, which goes in steps of 125.
RANGES = ((1000, 0), (1000, 250), (1000, 500), (1000, 750))


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
    """

    name: str
    purpose: str
    reference: str
    factors_at_256: tuple[int, ...]
    timesteps: tuple[int, int]
    source: str
    masked: bool = False

    @property
    def window(self) -> Window:
        """The conditioning range, for models of any number of timesteps."""
        return _window(*self.timesteps)

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

RECIPES = {
    recipe.name: recipe
    for recipe in (TRANSLATE, PAINT_TO_IMAGE, EDIT_SCRIBBLE, VARY_FACTOR, INPAINT)
}


def find_recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        InputError: there is none.
    """
    if name not in RECIPES:
        raise InputError(f"There is no recipe {name!r}; use one of {', '.join(RECIPES)}.")
    return RECIPES[name]


def apply_recipe(
    recipe: Recipe | str,
    model: Denoiser,
    image: Tensor,
    seeds: Sequence[int] = (0,),
    *,
    factor: float | None = None,
    window: Window | None = None,
    mask: Tensor | None = None,
    **settings: Any,
) -> Tensor:
    """Sample as a recipe says (arXiv 2108.02938, Algorithm 1).

    Args:
        recipe: one of :data:`RECIPES`, or its name.
        model: the network, usually from :func:`ilvr_latent.load_adm`.
        image: (B, C, H, W) in [-1, 1], of the model's size.
        seeds: each makes one picture of every image.
        factor: N, in place of the recipe's share of the side.
        window: in place of the recipe's range.
        mask: where the image is matched, 1 = fully, broadcastable to (B, 1, H, W).
        settings: the other settings of :func:`ilvr_latent.sample`.

    Returns:
        (B * len(seeds), C, H, W) fp32, about [-1, 1], all pictures of the first image first.

    Raises:
        InputError: the recipe is unknown, has several N or needs a mask, there is no seed, or a
            setting cannot be used.
    """
    if isinstance(recipe, str):
        recipe = find_recipe(recipe)
    if not seeds:
        raise InputError("There is no seed; give one for each picture, such as seeds=(0, 1).")
    references = recipe.references(
        _for_each_seed(image, len(seeds)),
        factors=None if factor is None else (factor,),
        window=window,
        mask=None if mask is None else _for_each_seed(mask, len(seeds)),
    )
    if len(references) > 1:
        several = ", ".join(f"{reference.factor:g}" for reference in references)
        raise InputError(
            f"The recipe {recipe.name!r} has several N ({several}); choose one with factor=, "
            "or sample them all with vary_factor."
        )
    each = list(seeds) * len(image)
    return sample(model, references, shape=(len(each), *image.shape[1:]), seed=each, **settings)


def vary_factor(
    model: Denoiser,
    image: Tensor,
    seeds: Sequence[int] = (0,),
    *,
    factors: Sequence[float] | None = None,
    **settings: Any,
) -> dict[float, Tensor]:
    """Generation from several N (figure 1 a).

    Args:
        model: see :func:`apply_recipe`.
        image: see there.
        seeds: see there.
        factors: N, in place of the recipe's shares of the side.
        settings: the other arguments of :func:`apply_recipe`.

    Returns:
        What :func:`apply_recipe` returns, under each N.
    """
    factors = factors if factors is not None else VARY_FACTOR.factors(min(image.shape[-2:]))
    return {
        n: apply_recipe(VARY_FACTOR, model, image, seeds, factor=n, **settings) for n in factors
    }


def vary_range(
    model: Denoiser,
    image: Tensor,
    seeds: Sequence[int] = (0,),
    *,
    factor: float | None = None,
    ranges: Sequence[tuple[int, int]] = RANGES,
    **settings: Any,
) -> dict[tuple[int, int], Tensor]:
    """Generation with several conditioning ranges.

    Args:
        model: see :func:`apply_recipe`.
        image: see there.
        seeds: see there.
        factor: N; by default a sixteenth of the shorter side.
        ranges: first and last timestep of each, of 1000.
        settings: the other arguments of :func:`apply_recipe`.

    Returns:
        What :func:`apply_recipe` returns, under each range.
    """
    n = factor if factor is not None else max(1.0, min(image.shape[-2:]) / 16)
    return {
        (hi, lo): apply_recipe(
            VARY_FACTOR, model, image, seeds, factor=n, window=_window(hi, lo), **settings
        )
        for hi, lo in ranges
    }


def _window(hi: int, lo: int) -> Window:
    """A range of 1000 timesteps, for a model of any number of them."""
    return Window(1 - hi / T, 1 - lo / T)


def _for_each_seed(x: Tensor, seeds: int) -> Tensor:
    """Each entry of the batch so many times in a row; what serves the whole batch stays."""
    return x if x.ndim < 4 or len(x) == 1 else x.repeat_interleave(seeds, dim=0)
