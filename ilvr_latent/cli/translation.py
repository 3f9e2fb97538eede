"""What ``sample`` and ``translate`` share: recipes, names of files, what is written into them."""

from __future__ import annotations

import argparse

from ..errors import InputError
from ..guides.lowpass import LowPass
from ..recipes import RECIPES
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
    """Take the range from the recipe; N is a share of the picture, known with the model.

    Raises:
        InputError: nothing says what is followed, a factor cannot be used, or the recipe needs a
            mask and there is none.
    """
    if options.recipe is not None:
        if RECIPES[options.recipe].masked and options.mask is None:
            raise InputError(
                f"The recipe {options.recipe!r} needs to know what is kept; give it with --mask."
            )
        take_range(options)
    elif options.factor is None:
        raise InputError(
            "There is neither --factor nor --recipe to say what is followed; give one of them, "
            "such as --factor 4."
        )
    for factor in options.factor or []:
        LowPass(factor, options.kernel)


def take_range(options: argparse.Namespace) -> None:
    """Take the range from the recipe, unless one was given."""
    if all(getattr(options, name) is None for name in WINDOW):
        window = RECIPES[options.recipe].window
        options.start, options.end = window.start, window.end


def chosen_factors(options: argparse.Namespace, maker: PictureMaker) -> list[float]:
    """Each N once: those that were given, else the recipe's for pictures of this size."""
    factors = options.factor
    if factors is None:
        factors = RECIPES[options.recipe].factors(min(maker.size) // maker.cell)
    return list(dict.fromkeys(factors))


def file_name(stem: str, factor: float, seed: int) -> str:
    """What a picture is called."""
    return f"{stem}_N{factor:g}_seed{seed}.png"


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
    return written_of_all(options) | {"reference": reference, "factor": factor, "seed": seed}
