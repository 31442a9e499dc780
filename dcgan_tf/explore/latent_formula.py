"""Latent formulas: how an image is made from seeds; latents.js does the same.

The latent of a recipe is

    slerp(mean(a) - mean(b) + mean(c), mean(d), way) + sum of amount * reach * vector

where a, b, c and d are the latents of seeds times the truncation, and the sum goes over directions.
The arithmetic is that of Radford et al. 2015, section 6.3.2: a man with glasses, less a man, plus a
woman, each the mean of a few picks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.directions import Directions
from dcgan_tf.models.sampling import finite, seed_latents, slerp

TERMS = ("a", "b", "c", "d")
PICKS = 64  # of one term, at most
AMOUNT = 100.0  # of a direction, as a multiple of its reach, at most


@dataclass(frozen=True)
class Recipe:
    """One image; an empty term is left out of the sum."""

    a: tuple[int, ...] = ()  # seeds, 0..2**32-1
    b: tuple[int, ...] = ()
    c: tuple[int, ...] = ()
    d: tuple[int, ...] = ()
    way: float = 0.0  # from a - b + c at 0 to d at 1; without d it means nothing
    along: Mapping[str, float] = field(default_factory=dict)  # amount by name, 1: its whole reach
    truncation: float = 1.0  # factor on the latent of every seed


def read_recipe(found) -> Recipe:
    """A recipe from what JSON gave.

    Raises:
        ValueError: it is none; the message says what came and what was expected.
    """
    if not isinstance(found, dict):
        raise ValueError(f"got {limits.shown(found)}, expected an object of an image's parts")
    if unknown := found.keys() - {*TERMS, "way", "along", "truncation"}:
        raise ValueError(f"unknown part {limits.shown(min(unknown))}")
    along = found.get("along", {})
    if not isinstance(along, dict):
        raise ValueError(f"along: got {limits.shown(along)}, expected amounts by name")
    return Recipe(
        **{term: _seeds(term, found.get(term, [])) for term in TERMS},
        way=_number("way", found.get("way", 0.0), 0, 1),
        along={name: _number(name, amount, -AMOUNT, AMOUNT) for name, amount in along.items()},
        truncation=_number("truncation", found.get("truncation", 1.0), 0, limits.TRUNCATION),
    )


def _seeds(term, found):
    whole = isinstance(found, list) and all(type(seed) is int for seed in found)
    if not whole or not all(0 <= seed <= limits.SEED for seed in found):
        raise ValueError(
            f"{term}: got {limits.shown(found)}, expected seeds from 0 to {limits.SEED}"
        )
    if len(found) > PICKS:
        raise ValueError(f"{term}: got {len(found)} seeds, expected {PICKS} at most")
    return tuple(found)


def _number(name, found, low, high):
    if type(found) not in (int, float) or not low <= found <= high or math.isnan(found):
        raise ValueError(
            f"{limits.shorten(name)}: got {limits.shown(found)}, "
            f"expected a number from {low} to {high}"
        )
    return float(found)


def latent(recipe: Recipe, length: int, directions: Directions | None = None) -> np.ndarray:
    """The latent of a recipe.

    Args:
        length: numbers per latent; directions: those that `along` may name.

    Returns:
        float32 (length,). Of one seed alone exactly that of `generate.py`.

    Raises:
        ValueError: `along` names an unknown direction; numbers beyond float32.
    """

    def mean(seeds):
        if not seeds:
            return np.zeros(length)
        return (recipe.truncation * seed_latents(seeds, length)).mean(axis=0, dtype=float)

    made = mean(recipe.a) - mean(recipe.b) + mean(recipe.c)
    if recipe.d:
        made = slerp(made, mean(recipe.d), recipe.way).astype(float)
    for name, amount in recipe.along.items():
        if directions is None or name not in directions.names:
            raise ValueError(f"no direction {limits.shown(name)} here")
        place = directions.names.index(name)
        step = float(directions.reach[place]) * directions.vectors[place].astype(float)
        made = made + amount * step
    return finite(made)
