"""What ``sample`` and ``translate`` share: recipes, names of files, what is written into them."""

from __future__ import annotations

import argparse
import dataclasses

from ..errors import InputError
from ..guides.bands import BANDS
from ..methods import WITH_FACTOR, Method
from ..recipe import RECIPES, TRANSLATE, Recipe
from .making import PictureMaker
from .settings import Settings

WINDOW = ("start", "end", "timestep_range", "step_range")


def add_what_is_followed(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what of a reference is followed."""
    factor_help = "N: larger leaves more to the model; several make several sets"
    parser.add_argument("--factor", nargs="+", type=float, metavar="N", help=factor_help)
    recipes = "; ".join(f"{recipe.name}: {recipe.purpose}" for recipe in RECIPES.values())
    recipe_help = f"N and range of an application, where they are not given. {recipes}"
    parser.add_argument("--recipe", choices=tuple(RECIPES), metavar="NAME", help=recipe_help)


def read_recipe(options: argparse.Namespace) -> None:
    """Take method and range from the recipe; N is a share of the picture, known with the model.

    Raises:
        InputError: nothing says what is followed, a factor cannot be used, or the recipe needs a
            mask or a class and there is none.
    """
    if options.recipe is not None:
        if RECIPES[options.recipe].masked and options.mask is None:
            raise InputError(
                f"The recipe {options.recipe!r} needs to know what is kept; give it with --mask."
            )
        take_range(options)
    if options.method not in WITH_FACTOR:
        if options.factor is not None:
            raise InputError(
                f"--factor does not belong to --method {options.method}; leave it out."
            )
    elif options.recipe is None and options.factor is None:
        raise InputError(
            "There is neither --factor nor --recipe to say what is followed; give one of them, "
            "such as --factor 4."
        )
    for factor in options.factor or []:
        BANDS[options.band](factor, options.kernel)


def take_method(recipe: Recipe, options: argparse.Namespace) -> None:
    """Take the method and its settings, where they are not given.

    Raises:
        InputError: the recipe leads to a class and none is named.
    """
    plain = Method()
    found = {method.name: method for method in recipe.methods}
    chosen = found.get(options.method, recipe.method if options.method == plain.name else plain)
    if options.method == plain.name:
        options.method = chosen.name
    for field in dataclasses.fields(Method):
        if field.name != "name" and getattr(options, field.name) == field.default:
            setattr(options, field.name, getattr(chosen, field.name))
    if not recipe.classifier_scale:
        return
    if options.class_ is None:
        raise InputError(
            f"The recipe {recipe.name!r} needs to know what to draw; name it with --class, such as "
            "--class animals."
        )
    if options.classifier_scale == 1.0:
        options.classifier_scale = recipe.classifier_scale


def take_range(options: argparse.Namespace) -> None:
    """Take the method of the recipe and, of ILVR, its range, unless one was given.

    Raises:
        InputError: the recipe leads to a class and none is named.
    """
    recipe = RECIPES[options.recipe]
    take_method(recipe, options)
    if options.method == Method().name and all(getattr(options, name) is None for name in WINDOW):
        options.start, options.end = recipe.window.start, recipe.window.end


def chosen_factors(options: argparse.Namespace, maker: PictureMaker) -> list[float]:
    """Each N once: those that were given, else the recipe's for pictures of this size."""
    factors = options.factor
    if factors is None:
        recipe = RECIPES[options.recipe or TRANSLATE.name]
        factors = recipe.factors(min(maker.size) // maker.cell)
    return list(dict.fromkeys(factors))


def label(method: str, factor: float, similarity: float | None = None) -> str:
    """What tells pictures of one method, or of one N or similarity, from others."""
    if similarity is not None:
        return f"similarity = {similarity:g}"
    return f"N = {factor:g}" if method in WITH_FACTOR else method


def file_name(
    stem: str, method: str, factor: float, seed: int, similarity: float | None = None
) -> str:
    """What a picture is called."""
    return f"{stem}_{label(method, factor, similarity).replace(' = ', '')}_seed{seed}.png"


def written_of_all(options: argparse.Namespace) -> dict[str, object]:
    """What the pictures of a command have in common, as it is written into them."""
    common = Settings.of(options, 1.0).written()
    return common if options.recipe is None else common | {"recipe": options.recipe}


def written_of_one(
    options: argparse.Namespace, reference: str, factor: float, seed: int
) -> dict[str, object]:
    """What is written into one picture.

    Args:
        options: of the command.
        reference: the name of its file.
        factor: N.
        seed: of this picture.
    """
    return written_of_all(options) | {
        "reference": reference,
        "factor": factor if options.method in WITH_FACTOR else None,
        "seed": seed,
    }
