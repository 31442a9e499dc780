"""Directions that change one attribute, found and judged by two attribute classifiers."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.progress import progress
from dcgan_tf.directions.command import DirectionsRequest
from dcgan_tf.directions.labeled_data import read_labeled_images
from dcgan_tf.directions.traversal import REACHES, Direction
from dcgan_tf.models.sampling import Sampler, compiled, in_batches, seed_latents

log = logging.getLogger(__name__)

LEAST_AUC = 0.75  # of both classifiers, each on the other's images
FEWEST = 8  # images with and without an attribute
SAME = 0.8  # correlation among samples from which on two scores say the same
PLAIN = 3.0  # standard deviations among samples by which a score moves where the effect is plain
JUDGED = range(200_000, 200_256)  # seeds that a direction is judged on
OTHERS = 3  # other attributes that are named: those that change most
STEPS = 1200  # 8 passes over 10,000 images: twice as many were no better on others
BATCH = 64
RATE, DECAY, DROPOUT = 2e-3, 1e-3, 0.3
_FIRST_SEED = 1_000_000  # of the samples; images that people look at have small ones
_AT_ONCE = 1024


def find_attributes(
    table: Path, request: DirectionsRequest, sampler: Sampler
) -> tuple[list[Direction], dict[str, str]]:
    """Find a direction for each attribute that both classifiers know, and why others have none.

    Raises:
        UserError: as `read_labeled_images`, or no attribute is left.
    """
    names, own, others = read_labeled_images(table, request, sampler)
    counts = [np.sum(part.labels == k, axis=0) for part in (own, others) for k in (0, 1)]
    refused = dict.fromkeys(names, "too few images with it, or without")
    varying = np.flatnonzero(np.min(counts, axis=0) >= FEWEST)
    if not len(varying):
        raise UserError(
            f"none of {', '.join(names[:5])} has {FEWEST} images with it and without",
            flag=f"--attributes {table}",
        )
    names = [names[k] for k in varying]
    own, others = (replace(part, labels=part.labels[:, varying]) for part in (own, others))
    classifiers = [_train(part, seed) for seed, part in enumerate((own, others))]
    aucs = np.array([_aucs(classifiers[0], others), _aucs(classifiers[1], own)])
    good = np.flatnonzero(aucs.min(axis=0) >= LEAST_AUC)
    for k, name in enumerate(names):
        refused[name] = "AUC {:.2f} and {:.2f} of the two classifiers".format(*aucs[:, k])
    kept = [names[k] for k in good]
    refused = {name: why for name, why in refused.items() if name not in kept}
    if refused:
        listed = "; ".join(f"{name} ({why})" for name, why in refused.items())
        log.warning(
            f"refused, an attribute needs two classifiers of AUC {LEAST_AUC} or more: {listed}"
        )
    if not kept:
        raise UserError("no attribute is left", flag=f"--attributes {table}")
    scorers = [lambda pixels, each=each: each.scores(pixels)[:, good] for each in classifiers]
    found = _find(sampler, request.samples, scorers, kept, aucs[:, good])
    _tell(found)
    return found, refused


def _find(sampler, count, scorers, names, aucs):
    """Find the directions of attributes by the first scorer and judge them by the second."""
    scores, latents = _score_samples(sampler, count, scorers)
    deviations, found = scores[1].std(axis=0), []
    with progress(len(names), "judging", "directions") as bar:
        for k, vector in enumerate(disentangle(scores[0], latents)):
            reach = measure_score_reach(scores[0][:, k], latents, vector)
            judged = seed_latents(JUDGED, sampler.latent_dim)
            low, high = (scorers[1](sampler.array(judged + r * vector)) for r in (-reach, reach))
            facts = {"auc": round(float(aucs[0, k]), 3), "judge_auc": round(float(aucs[1, k]), 3)}
            facts |= judge(high - low, deviations, names, k)
            found.append(Direction(names[k], "attribute", vector, reach, facts))
            bar.update()
    return found


def disentangle(scores: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """Find, for each score, the latent direction that changes it while the others are held.

    The regression of the latent on an attribute's score and all other scores together. Attributes
    that come together among the samples, such as blond hair and make-up, are so parted. Scores
    that are nearly this one itself (SAME) are not held: what would be left of lipstick with make-up
    held is chance.

    Returns:
        float32 (attributes, latent_dim), of length 1, from scores (n, attributes) of n latents.
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


def measure_score_reach(scores: np.ndarray, latents: np.ndarray, vector: np.ndarray) -> float:
    """Measure how far along a direction both ends plainly differ in a score, within REACHES.

    That is by PLAIN standard deviations of the scores (n,) among standard normal latents
    (n, latent_dim), as their slope along the direction says.
    """
    along = latents @ vector
    slope = np.cov(along, scores)[0, 1] / along.var()  # the other numbers are independent of it
    wanted = PLAIN * scores.std() / max(2 * slope, 1e-12)
    return round(float(np.clip(wanted, REACHES[0], REACHES[-1])), 1)


def judge(gains: np.ndarray, deviations: np.ndarray, names: list[str], attribute: int) -> dict:
    """Judge a direction by a classifier that did not find it.

    Args:
        gains: float (n, attributes), the gain of each score from one end of it to the other.
        deviations: float (attributes,), of the scores among samples.

    Returns:
        `accuracy`, the share of samples that gain; `effect`, the mean gain in standard deviations;
        and `others`, that of the other attributes, the largest first.
    """
    effects = gains.mean(axis=0) / deviations
    order = [k for k in np.argsort(-np.abs(effects)) if k != attribute]
    return {
        "accuracy": round(float((gains[:, attribute] > 0).mean()), 3),
        "effect": round(float(effects[attribute]), 2),
        "others": {names[k]: round(float(effects[k]), 2) for k in order},
    }


def _train(part, seed):
    side, channels = part.pixels.shape[2:]
    classifier = AttributeClassifier(side, channels, part.labels.shape[1], seed)
    words = ("the first classifier", "the judge")[seed]
    with progress(STEPS, f"training {words}", "steps") as bar:
        classifier.train(part.pixels, part.labels, bar.update, STEPS)
    return classifier


def _aucs(classifier, part):
    """The AUC of each attribute on images that the classifier was not trained on."""
    from sklearn.metrics import roc_auc_score

    scores = classifier.scores(part.pixels)
    return roc_auc_score(part.labels, scores, average=None)  # pyright: ignore


def _score_samples(sampler, count, scorers):
    """float32 (scorers, count, attributes): scores of samples; and latents (count, latent_dim)."""
    latents = seed_latents(range(_FIRST_SEED, _FIRST_SEED + count), sampler.latent_dim)
    scores = []
    with progress(count, "scoring samples") as bar:
        for start in range(0, count, _AT_ONCE):
            images = sampler.array(latents[start : start + _AT_ONCE])
            scores.append(np.array([score(images) for score in scorers]))
            bar.update(len(images))
    return np.concatenate(scores, axis=1), latents


def _tell(found):
    """Print a line for each attribute: its AUCs, how right the direction is, what comes along."""
    width = max(len(each.name) for each in found)
    log.info(f"{'attribute':{width}}  AUC   judge  right  effect  reach  what else changes")
    for each in found:
        facts = each.facts
        others = list(facts["others"].items())[:OTHERS]
        words = ", ".join(f"{name} {value:+.1f}" for name, value in others)
        log.info(
            f"{each.name:{width}}  {facts['auc']:.2f}  {facts['judge_auc']:.2f}   "
            f"{facts['accuracy']:4.0%}  {facts['effect']:+.1f}    {each.reach:.1f}    {words}"
        )


class AttributeClassifier:
    """Predict binary attributes of square images; the seed is of weights and order."""

    def __init__(self, side: int, channels: int, attributes: int, seed: int):
        self._seed = seed
        self._model = _network(side, channels, attributes, seed)
        self._forward = compiled(self._model)

    def train(self, pixels: np.ndarray, labels: np.ndarray, after_step: Callable, steps: int):
        """Train on uint8 images and their mirror images, and their labels (n, attributes)."""
        rates = keras.optimizers.schedules.CosineDecay(RATE, steps)
        optimizer = keras.optimizers.AdamW(rates, weight_decay=DECAY)  # pyright: ignore
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        self._model.compile(optimizer, loss, jit_compile=False)  # pyright: ignore
        batches = _batches(pixels, labels, np.random.RandomState(self._seed))
        for _ in range(steps):
            self._model.train_on_batch(*next(batches))
            after_step()

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, attributes): logits of uint8 images, above 0 for those that have it."""
        return np.concatenate(list(in_batches(self._forward, pixels, 256)))


def _network(side, channels, attributes, seed):
    """Strided convolutions down to 4 pixels, then one matrix."""
    images = keras.Input((side, side, channels))
    x, width = keras.layers.Rescaling(1 / 127.5, -1)(images), 32
    while x.shape[1] > 4:
        x = keras.layers.Conv2D(
            *(width, 3, 2, "same"),
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=seed + x.shape[1]),  # pyright: ignore
        )(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
        width = min(2 * width, 128)
    x = keras.layers.Dropout(DROPOUT, seed=seed)(keras.layers.Flatten()(x))
    glorot = keras.initializers.GlorotUniform(seed=seed)
    logits = keras.layers.Dense(attributes, kernel_initializer=glorot)(x)  # pyright: ignore
    return keras.Model(images, logits)


def _batches(pixels, labels, random):
    """Yield batches without end, half of the images mirrored, each once before any comes again."""
    size = min(BATCH, len(pixels))
    while True:
        order = random.permutation(len(pixels))
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            images, mirrored = pixels[rows], random.rand(size) < 0.5
            images[mirrored] = images[mirrored, :, ::-1]
            yield images.astype(np.float32), labels[rows].astype(np.float32)
