"""The applications of ILVR (arXiv 2108.02938, figure 1) and its family, in one call.

>>> from ilvr_latent import apply_recipe, load_embedded
>>> model = load_embedded()
>>> pictures = apply_recipe("translate", model, image, seeds=(0, 1, 2))  # (3, 3, 64, 64), N = 8
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from . import defaults
from .diffusion.denoiser import Denoiser
from .diffusion.guide import Guide, Guides
from .diffusion.loop import sample_with
from .diffusion.noise import SeededNoise
from .diffusion.schedule import Schedule
from .embedded import load_embedded_classifier
from .errors import InputError
from .guides.classifier import ClassifierGuidance
from .guides.reference import Reference
from .guides.window import Window
from .methods import Method, MethodName
from .recipe import RECIPES, VARY_FACTOR, Recipe, find_recipe, window_of_thousand
from .sampling import sample

if TYPE_CHECKING:
    from .adm.classifier_network import ADMClassifier

__all__ = ["RECIPES", "Recipe", "apply_recipe", "find_recipe", "vary_factor", "vary_range"]

# Fewer than the figure on conditioning ranges of the paper has, which goes in steps of 125.
RANGES = ((1000, 0), (1000, 250), (1000, 500), (1000, 750))


def apply_recipe(
    recipe: Recipe | str,
    model: Denoiser,
    image: Tensor,
    seeds: Sequence[int] = (0,),
    *,
    factor: float | None = None,
    window: Window | None = None,
    mask: Tensor | None = None,
    method: MethodName | None = None,
    classifier: ADMClassifier | None = None,
    label: int | None = None,
    **settings: Any,
) -> Tensor:
    """Sample as a recipe says.

    Args:
        recipe: one of :data:`RECIPES`, or its name.
        model: the network, usually from :func:`ilvr_latent.load_adm`.
        image: (B, C, H, W) in [-1, 1], of the model's size.
        seeds: each makes one picture of every image.
        factor: N, in place of the recipe's share of the side.
        window: in place of the recipe's range.
        mask: where the image is matched, 1 = fully, broadcastable to (B, 1, H, W).
        method: another of those that the recipe has.
        classifier: of noisy pictures, where the recipe uses one; by default the embedded one.
        label: the class, where the recipe is led to one.
        settings: the other settings of :func:`ilvr_latent.sample`.

    Returns:
        (B * len(seeds), C, H, W) fp32, about [-1, 1], all pictures of the first image first.

    Raises:
        InputError: the recipe is unknown, has several N, needs a mask or a label, has not this
            method, there is no seed, or a setting cannot be used.
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
    shape = (len(each), *image.shape[1:])
    chosen = _method(recipe, method)
    if chosen == Method() and not recipe.classifier_scale:
        return sample(model, references, shape=shape, seed=each, **settings)
    guide = _guide(recipe, chosen, references[0], classifier, label, model)
    schedule = Schedule(
        model.config.noise_schedule,
        model.config.diffusion_steps,
        settings.setdefault("steps", defaults.STEPS),
    )
    pictures = references[0].image.repeat(len(each) // len(references[0].image), 1, 1, 1)
    settings.setdefault("start", chosen.start(pictures, len(schedule)))
    noise = settings.pop("noise", None) or SeededNoise(each, model.device)
    return sample_with(model, guide, shape=shape, noise=noise, **settings)


def _method(recipe: Recipe, name: MethodName | None) -> Method:
    found = {method.name: method for method in recipe.methods}
    if name is None:
        return recipe.method
    if name not in found:
        raise InputError(
            f"The recipe {recipe.name!r} has no method {name!r}; use one of {', '.join(found)}."
        )
    return found[name]


def _guide(
    recipe: Recipe,
    method: Method,
    reference: Reference,
    classifier: ADMClassifier | None,
    label: int | None,
    model: Denoiser,
) -> Guide:
    """The method, with the classifier as its features or beside it."""
    if classifier is None and (recipe.classifier_scale or method.asks_for_features):
        classifier = load_embedded_classifier(device=model.device)
    features = classifier.features if classifier is not None else None
    followed = method.guide(reference, features=features)
    if not recipe.classifier_scale:
        return followed
    if label is None or classifier is None:
        raise InputError(
            f"The recipe {recipe.name!r} leads to a class; give its number with label=."
        )
    return Guides(ClassifierGuidance(classifier, label, scale=recipe.classifier_scale), followed)


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
            VARY_FACTOR,
            model,
            image,
            seeds,
            factor=n,
            window=window_of_thousand(hi, lo),
            **settings,
        )
        for hi, lo in ranges
    }


def _for_each_seed(x: Tensor, seeds: int) -> Tensor:
    """Each entry of the batch so many times in a row; what serves the whole batch stays."""
    return x if x.ndim < 4 or len(x) == 1 else x.repeat_interleave(seeds, dim=0)
