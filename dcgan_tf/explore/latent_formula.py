"""Latent formulas: the latent of an image made from seeds; latents.js computes the same.

The latent of a recipe is

    slerp(mean(a) - mean(b) + mean(c), mean(d), way) + sum of amount * reach * vector

where a, b, c and d are the latents of seeds times the truncation, and the sum is over directions.
This is the arithmetic of Radford et al. 2015, section 6.3.2: a man with glasses, minus a man, plus
a woman, each the mean of several samples.

Labels at the end of latents are not truncated. Without a chosen label they are those of the seeds
in the same formula, with a straight line for slerp, cut to 0..1; classes then sum to 1 at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.directions import Directions
from dcgan_tf.common.labels import Labels
from dcgan_tf.models.sampling import finite, seed_latents, slerp

PICKS = 64  # most seeds in one term
AMOUNT = 100.0  # largest step along a direction, as a multiple of its reach


@dataclass(frozen=True)
class Recipe:
    """One image; an empty term is left out of the sum."""

    a: tuple[int, ...] = ()  # seeds, 0..2**32-1
    b: tuple[int, ...] = ()
    c: tuple[int, ...] = ()
    d: tuple[int, ...] = ()
    way: float = 0.0  # from a - b + c at 0 to d at 1; without d it has no effect
    along: Mapping[str, float] = field(default_factory=dict)  # amount by name; 1 is the reach
    truncation: float = 1.0  # factor on the latent of every seed
    label: str = ""  # as for `Labels.read`; what it leaves open is as the seeds have it


def read_recipe(found) -> Recipe:
    """Read a recipe from parsed JSON; ValueError says what came and what was expected."""
    names = [part.name for part in fields(Recipe)]
    if not isinstance(found, dict) or found.keys() - set(names):
        raise ValueError(f"got {limits.shown(found)}, expected an object of {', '.join(names)}")
    along = found.get("along", {})
    if not isinstance(along, dict):
        raise ValueError(f"along: got {limits.shown(along)}, expected amounts by name")
    label = found.get("label", "")
    if not isinstance(label, str):
        raise ValueError(f"label: got {limits.shown(label)}, expected a text")
    return Recipe(
        label=label,
        **{term: _seeds(term, found.get(term, [])) for term in "abcd"},
        way=_number("way", found.get("way", 0.0), 0, 1),
        along={name: _number(name, amount, -AMOUNT, AMOUNT) for name, amount in along.items()},
        truncation=_number("truncation", found.get("truncation", 1.0), 0, limits.TRUNCATION),
    )


def _seeds(term, found):
    fits = isinstance(found, list) and len(found) <= PICKS
    if not fits or not all(type(seed) is int and 0 <= seed <= limits.SEED for seed in found):
        expected = f"expected at most {PICKS} seeds from 0 to {limits.SEED}"
        raise ValueError(f"{term}: got {limits.shown(found)}, {expected}")
    return tuple(found)


def _number(name, found, low, high):
    if type(found) not in (int, float) or not low <= found <= high:
        expected = f"expected a number from {low} to {high}"
        raise ValueError(f"{limits.shorten(name)}: got {limits.shown(found)}, {expected}")
    return float(found)


def latent(
    recipe: Recipe,
    length: int,
    directions: Directions | None = None,
    labels: Labels | None = None,
) -> np.ndarray:
    """Compute the latent of a recipe, float32 (length,); a single seed gives generate.py's latent.

    Raises:
        ValueError: an unknown label or direction, or numbers that exceed float32.
    """
    if recipe.label and not labels:
        raise ValueError("this generator was trained without labels")
    normal = length - (labels.n if labels else 0)

    def mean(seeds):
        if not seeds:
            return np.zeros(length)
        latents = recipe.truncation * seed_latents(seeds, normal)
        if labels:
            latents = np.concatenate([latents, labels.tails(seeds)], axis=1)
        return latents.mean(axis=0, dtype=float)

    made = mean(recipe.a) - mean(recipe.b) + mean(recipe.c)
    if recipe.d:
        end, way = mean(recipe.d), recipe.way
        mixed = (1 - way) * made[normal:] + way * end[normal:]
        made = np.concatenate([slerp(made[:normal], end[:normal], way), mixed]).astype(float)
    if labels:
        tail = made[normal:].clip(0, 1)
        made[normal:] = tail / max(tail.sum(), 1) if labels.classes else tail
        for place, bit in labels.read(recipe.label or None).items():
            made[normal + place] = bit
    for name, amount in recipe.along.items():
        if directions is None or name not in directions.names:
            raise ValueError(f"no direction {limits.shown(name)} here")
        place = directions.names.index(name)
        step = float(directions.reach[place]) * directions.vectors[place].astype(float)
        made = made + amount * step
    return finite(made)
