"""Directions that change one attribute, found from scores of samples."""

from dataclasses import dataclass

import numpy as np

from dcgan_tf.directions.attribute_classifier import AttributeClassifier
from dcgan_tf.directions.traversal import REACHES
from dcgan_tf.models.sampling import Sampler, seed_latents

SAME = 0.8  # correlation among samples from which on two scores say the same
PLAIN = 3.0  # standard deviations among samples by which a score moves where the effect is plain
JUDGED = range(200_000, 200_256)  # seeds that it is judged on


def conditioned(scores: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """Where latents lie that differ in one score and agree in the others.

    The regression of the latent on an attribute's score and all other scores together: what a
    change of this one, the others held, says of the latent. What the samples have together, such
    as blond hair and make-up, is so parted. Scores that are nearly this one itself (SAME) are not
    held: what would be left of lipstick with make-up held is chance.

    Args:
        scores: float (n, attributes); latents: float (n, latent_dim).

    Returns:
        float32 (attributes, latent_dim), of length 1.
    """
    known = scores - scores.mean(axis=0, dtype=np.float64)
    known /= known.std(axis=0)
    products, with_latents = known.T @ known, known.T @ np.asarray(latents, np.float64)
    found = []
    for attribute, correlations in enumerate(np.abs(products) / len(known)):
        held = np.flatnonzero(correlations < SAME)
        chosen = [attribute, *(k for k in held if k != attribute)]
        some = products[np.ix_(chosen, chosen)]
        found.append(np.linalg.lstsq(some, with_latents[chosen], rcond=None)[0][0])
    found = np.array(found)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def reach_for(scores: np.ndarray, latents: np.ndarray, vector: np.ndarray) -> float:
    """How far along a direction a score is plainly another, from end to end.

    Args:
        scores: float (n,), by the head that found the direction; latents: float (n, latent_dim),
            standard normal; vector: float32 (latent_dim,), of length 1.

    Returns:
        Where both ends differ by PLAIN standard deviations of the score among the samples, by its
        slope along the direction; within REACHES.
    """
    along = latents @ vector
    slope = np.cov(along, scores)[0, 1] / along.var()  # the other numbers are independent of it
    wanted = PLAIN * scores.std() / max(2 * slope, 1e-12)
    return round(float(np.clip(wanted, REACHES[0], REACHES[-1])), 1)


def shifts(
    sampler: Sampler, head: AttributeClassifier, vector: np.ndarray, reach: float, seeds: range
) -> np.ndarray:
    """float32 (seeds, attributes): what scores gain from one end of a direction to the other."""
    latents = seed_latents(seeds, sampler.latent_dim)
    low, high = (head.scores(sampler.array(latents + r * vector)) for r in (-reach, reach))
    return high - low


@dataclass(frozen=True)
class Judgement:
    """What another head says of a direction.

    Attributes:
        accuracy: share of samples whose attribute it scores higher at reach than at -reach.
        effect: the mean of that gain, in standard deviations of its scores among samples.
        others: the same means of the other attributes, by name, the largest first.
    """

    accuracy: float
    effect: float
    others: dict[str, float]


def judge(gains: np.ndarray, deviations: np.ndarray, names: list[str], attribute: int) -> Judgement:
    """The judgement of a direction.

    Args:
        gains: float (n, attributes) as `shifts` gives, by the head that judges; deviations: float
            (attributes,); names: of the attributes; attribute: the column of its own.
    """
    effects = gains.mean(axis=0) / deviations
    order = [k for k in np.argsort(-np.abs(effects)) if k != attribute]
    return Judgement(
        float((gains[:, attribute] > 0).mean()),
        float(effects[attribute]),
        {names[k]: float(effects[k]) for k in order},
    )
