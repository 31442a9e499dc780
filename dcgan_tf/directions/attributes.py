"""Directions that change one attribute, found and scored by two attribute classifiers."""

import logging
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.progress import progress
from dcgan_tf.directions.command import DirectionsRequest
from dcgan_tf.directions.labeled_data import labels_among, read_labeled_images
from dcgan_tf.directions.traversal import REACHES, Direction, hold_labels
from dcgan_tf.models.sampling import Sampler, compiled, in_batches

log = logging.getLogger(__name__)

LEAST_AUC = 0.75  # of both classifiers, each on the other's images
FEWEST = 8  # images with and without an attribute
SAME = 0.8  # correlation of two scores above which they mean the same
PLAIN = 3.0  # standard deviations of a score from one end of a direction to the other
SCORED = range(200_000, 200_256)  # seeds that a direction is scored on
OTHERS = 3  # other attributes shown: those that change most
STEPS = 1200  # 8 passes over 10,000 images; twice as many were no better on test images
BATCH = 64
RATE, DECAY, DROPOUT = 2e-3, 1e-3, 0.3
_FIRST_SEED = 1_000_000  # of the samples, above the seeds that people look at
_AT_ONCE = 1024

Classifier = Callable[[np.ndarray], np.ndarray]  # uint8 images to logits, float32 (n, attributes)


def find_attributes(
    table: Path, request: DirectionsRequest, sampler: Sampler
) -> tuple[list[Direction], dict[str, str]]:
    """Find a direction for each attribute that both classifiers know; say why others have none."""
    from sklearn.metrics import roc_auc_score

    names, *parts = read_labeled_images(table, request, sampler)
    fewest = np.min([np.sum(part.labels == k, axis=0) for part in parts for k in (0, 1)], axis=0)
    varying = np.flatnonzero(fewest >= FEWEST)
    if not len(varying):
        raise UserError(
            f"none of {', '.join(names[:5])} has {FEWEST} images with and without the attribute",
            flag=f"--attributes {table}",
        )
    classifiers, aucs = [], np.empty((2, len(varying)))
    for seed, (own, other) in enumerate((parts, parts[::-1])):
        with progress(STEPS, f"training classifier {seed + 1} of 2", "steps") as bar:
            labels = own.labels[:, varying]
            classifiers.append(train_classifier(own.pixels, labels, seed, STEPS, bar.update))
        scores = classifiers[seed](other.pixels)  # each is tested on the images of the other
        for column, k in enumerate(varying):
            aucs[seed, column] = roc_auc_score(other.labels[:, k], scores[:, column])
    good = aucs.min(axis=0) >= LEAST_AUC
    refused = {names[k]: "too few images with or without it" for k in np.where(fewest < FEWEST)[0]}
    for k, pair in zip(varying[~good], aucs[:, ~good].T, strict=True):
        refused[names[k]] = "AUC {:.2f} and {:.2f} of the two classifiers".format(*pair)
    if refused:
        listed = "; ".join(f"{name} ({why})" for name, why in refused.items())
        log.warning(
            f"left out, because both classifiers need an AUC of {LEAST_AUC} or more: {listed}"
        )
    kept = [names[k] for k in varying[good]]
    if held := [name for name in kept if name in labels_among(names, sampler)]:
        refused |= dict.fromkeys(held, "a label of the generator")
        log.warning(f"left out, because --label sets them: {', '.join(held)}")
    if len(held) == len(kept):
        raise UserError("no attribute is left", flag=f"--attributes {table}")
    found = _find_directions(sampler, request.samples, classifiers, kept, good, aucs[:, good])
    _print_table(found)
    return found, refused


def _find_directions(sampler, count, classifiers, names, good, aucs):
    """Find the directions of attributes by the first classifier and score them by the second."""
    latents = sampler.latents(range(_FIRST_SEED, _FIRST_SEED + count))
    scores, found = [], []
    with progress(count, "scoring samples") as bar:
        for start in range(0, count, _AT_ONCE):
            images = sampler.array(latents[start : start + _AT_ONCE])
            scores.append([classify(images)[:, good] for classify in classifiers])
            bar.update(len(images))
    scores = (np.concatenate(part) for part in zip(*scores, strict=True))
    first, second = (hold_labels(part, latents, sampler) for part in scores)
    normal, ends = latents[:, : sampler.normal_dim], sampler.latents(SCORED)
    held = labels_among(names, sampler)
    with progress(len(names), "scoring", "directions") as bar:
        for k, vector in enumerate(disentangle(first, normal)):
            bar.update()
            if names[k] in held:
                continue
            reach = measure_score_reach(first[:, k], normal, vector)
            vector = np.pad(vector, (0, sampler.latent_dim - sampler.normal_dim))
            low, high = (classifiers[1](sampler.array(ends + r * vector)) for r in (-reach, reach))
            facts = {"auc": round(float(aucs[0, k]), 3), "judge_auc": round(float(aucs[1, k]), 3)}
            facts |= measure_effects((high - low)[:, good], second.std(axis=0), names, k)
            found.append(Direction(names[k], "attribute", vector, reach, facts))
    return found


def disentangle(scores: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """Find the latent direction that changes each score while the others stay constant.

    The latent is regressed on an attribute's score and the others together, which separates
    attributes that often occur together, such as blond hair and make-up. Scores too similar to
    this one (SAME) are left out: for lipstick at constant make-up, only chance would remain.

    Returns:
        float32 (attributes, latent_dim), of length 1, from scores (n, attributes) of n latents.
    """
    from sklearn.linear_model import LinearRegression

    scores, found = scores.astype(np.float64), []
    same = np.abs(np.atleast_2d(np.corrcoef(scores, rowvar=False))) >= SAME
    for attribute, near in enumerate(same):
        chosen = [attribute, *np.flatnonzero(~near)]
        found.append(LinearRegression().fit(scores[:, chosen], latents).coef_[:, 0])
    found = np.array(found)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def measure_score_reach(scores: np.ndarray, latents: np.ndarray, vector: np.ndarray) -> float:
    """Estimate the reach, within REACHES, at which a score differs by PLAIN between both ends.

    It follows from the slope of the scores (n,) along the direction among standard normal latents
    (n, latent_dim).
    """
    along = latents @ vector
    slope = np.cov(along, scores)[0, 1] / along.var()  # other coordinates are independent of it
    wanted = PLAIN * scores.std() / max(2 * slope, 1e-12)
    return round(float(np.clip(wanted, REACHES[0], REACHES[-1])), 1)


def measure_effects(
    gains: np.ndarray, deviations: np.ndarray, names: list[str], attribute: int
) -> dict:
    """Measure what a direction changes, by a classifier that did not find it.

    Args:
        gains: float (n, attributes), the gain of each score from one end to the other.
        deviations: float (attributes,), standard deviations of the scores.

    Returns:
        `accuracy`, the fraction of samples that gain; `effect`, the mean gain in standard
        deviations; and `others`, the effects on other attributes, the largest first.
    """
    effects = gains.mean(axis=0) / deviations
    order = [k for k in np.argsort(-np.abs(effects)) if k != attribute]
    return {
        "accuracy": round(float((gains[:, attribute] > 0).mean()), 3),
        "effect": round(float(effects[attribute]), 2),
        "others": {names[k]: round(float(effects[k]), 2) for k in order},
    }


def _print_table(found):
    width = max(len(each.name) for each in found)
    log.info(f"{'attribute':{width}}  AUC 1  AUC 2  right  effect  reach  what else changes")
    for each in found:
        facts = each.facts
        others = list(facts["others"].items())[:OTHERS]
        words = ", ".join(f"{name} {value:+.1f}" for name, value in others)
        log.info(
            f"{each.name:{width}}  {facts['auc']:.2f}   {facts['judge_auc']:.2f}   "
            f"{facts['accuracy']:4.0%}  {facts['effect']:+.1f}    {each.reach:.1f}    {words}"
        )


def train_classifier(
    pixels: np.ndarray, labels: np.ndarray, seed: int, steps: int, after_step: Callable
) -> Classifier:
    """Train a network on square uint8 images with labels (n, attributes); `seed` decides all."""
    model = _network(pixels.shape[1:], labels.shape[1], seed)
    rates = keras.optimizers.schedules.CosineDecay(RATE, steps)
    optimizer = keras.optimizers.AdamW(rates, weight_decay=DECAY)  # pyright: ignore
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)  # pyright: ignore
    random, order, size = np.random.RandomState(seed), [], min(BATCH, len(pixels))
    for _ in range(steps):
        if len(order) < size:  # every image once per pass
            order = random.permutation(len(pixels))
        rows, order = order[:size], order[size:]
        images, mirrored = pixels[rows].astype(np.float32), random.rand(size) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
        model.train_on_batch(images, labels[rows].astype(np.float32))
        after_step()
    forward = compiled(model)
    return lambda pixels: np.concatenate(list(in_batches(forward, pixels, 256)))


def _network(shape, attributes, seed):
    """Strided convolutions down to 4 pixels, then a dense layer."""
    images = keras.Input(shape)
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
