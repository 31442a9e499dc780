"""Directions for labeled attributes, checked by an independent classifier."""

import logging
from dataclasses import replace

import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.progress import progress
from dcgan_tf.directions.attribute_classifier import STEPS, AttributeClassifier
from dcgan_tf.directions.attributes import JUDGED, conditioned, judge, reach_for, shifts
from dcgan_tf.directions.command import DirectionsRequest
from dcgan_tf.directions.found import Found
from dcgan_tf.directions.labeled_data import labeled_images
from dcgan_tf.models.sampling import Sampler, seed_latents

log = logging.getLogger(__name__)

LEAST_AUC = 0.75  # of both heads, each on the other's pictures
FEWEST = 8  # pictures with and without an attribute
_FIRST_SEED = 1_000_000  # of the samples; pictures that people look at have small ones
_AT_ONCE = 1024
OTHERS = 3  # other attributes that are named: those that change most


def labelled(sampler: Sampler, request: DirectionsRequest) -> tuple[list[Found], dict[str, str]]:
    """A direction for each attribute that both heads can tell, and why others have none.

    Raises:
        UserError: as `labeled_images`, or no attribute is left.
    """
    names, own, others = labeled_images(request, sampler)
    flag = f"--attributes {request.attributes}"
    told = _told(names, own, others, flag)
    refused = dict.fromkeys(names, "too few pictures with it, or without")
    names = [names[k] for k in told]
    own, others = (replace(part, labels=part.labels[:, told]) for part in (own, others))
    heads = [_learnt(part, seed) for seed, part in enumerate((own, others))]
    values = np.array([_aucs(heads[0], others), _aucs(heads[1], own)])
    good = np.flatnonzero(values.min(axis=0) >= LEAST_AUC)
    for k, name in enumerate(names):
        refused[name] = "AUC {:.2f} and {:.2f} of the two heads".format(*values[:, k])
    for k in good:
        del refused[names[k]]
    if refused:
        listed = "; ".join(f"{name} ({why})" for name, why in refused.items())
        log.warning(f"refused, an attribute needs two heads of AUC {LEAST_AUC} or more: {listed}")
    if not len(good):
        raise UserError("no attribute is left", flag=flag)
    scorers, kept = [_Scorer(head, good) for head in heads], [names[k] for k in good]
    return _found(sampler, request.samples, scorers, kept, values[:, good]), refused


class _Scorer:
    """A head that scores some of its attributes."""

    def __init__(self, head, columns):
        self._head, self._columns = head, columns

    def scores(self, pixels):
        return self._head.scores(pixels)[:, self._columns]


def _found(sampler, count, scorers, names, values):
    """list[Found]: of all attributes, told as a table."""
    scores, latents = _scored(sampler, count, scorers)
    vectors, deviations = conditioned(scores[0], latents), scores[1].std(axis=0)
    found = []
    with progress(len(names), "judging", "directions") as bar:
        for column, (name, vector) in enumerate(zip(names, vectors, strict=True)):
            reach = reach_for(scores[0][:, column], latents, vector)
            gains = shifts(sampler, scorers[1], vector, reach, JUDGED)
            verdict = judge(gains, deviations, names, column)
            facts = {
                "auc": round(float(values[0, column]), 3),
                "judge_auc": round(float(values[1, column]), 3),
                "accuracy": round(verdict.accuracy, 3),
                "effect": round(verdict.effect, 2),
                "others": {other: round(gain, 2) for other, gain in verdict.others.items()},
            }
            found.append(Found(name, "attribute", vector, reach, facts))
            bar.update()
    _tell(found)
    return found


def _told(names, own, others, flag):
    """int (n,): the attributes of which both sets have some with and some without."""
    counts = np.array([[each.labels.sum(axis=0), (1 - each.labels).sum(axis=0)]
                       for each in (own, others)])  # fmt: skip
    told = np.flatnonzero(counts.min(axis=(0, 1)) >= FEWEST)
    if not len(told):
        listed = ", ".join(names[:5])
        raise UserError(f"none of {listed} has {FEWEST} pictures with it and without", flag=flag)
    return told


def _learnt(part, seed):
    head = AttributeClassifier(
        part.pixels.shape[1], part.pixels.shape[3], part.labels.shape[1], seed
    )
    words = ("the first head", "the head that judges")[seed]
    with progress(STEPS, f"training {words}", "steps") as bar:
        head.learn(part.pixels, part.labels, bar.update, STEPS)
    return head


def _aucs(head, part):
    """list[float]: AUC of each attribute on images that the head was not trained on."""
    from sklearn.metrics import roc_auc_score

    scores = head.scores(part.pixels)
    return [roc_auc_score(part.labels[:, k], scores[:, k]) for k in range(scores.shape[1])]


def _scored(sampler, count, heads):
    """float32 (heads, count, attributes): scores of samples, and their latents (count, length)."""
    latents = seed_latents(range(_FIRST_SEED, _FIRST_SEED + count), sampler.latent_dim)
    scores = [[] for _ in heads]
    with progress(count, "scoring samples") as bar:
        for start in range(0, count, _AT_ONCE):
            pictures = sampler.array(latents[start : start + _AT_ONCE])
            for head, parts in zip(heads, scores, strict=True):
                parts.append(head.scores(pictures))
            bar.update(len(pictures))
    return np.array([np.concatenate(parts) for parts in scores]), latents


def _tell(found):
    """A line an attribute: how sure the heads are, how right the direction is, what comes along."""
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
