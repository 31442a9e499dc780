"""Directions for labelled attributes: two heads, samples, a regression, a judgement."""

import logging

import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.progress import progress
from dcgan_tf.directions.attributes import JUDGED, conditioned, judge, reach_for, shifts
from dcgan_tf.directions.found import Found
from dcgan_tf.directions.heads import STEPS, Head
from dcgan_tf.directions.people import labelled_pictures
from dcgan_tf.directions.request import DirectionsRequest
from dcgan_tf.metrics.auc import auc
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
        UserError: as `labelled_pictures`, or no attribute is left.
    """
    names, own, others = labelled_pictures(request, sampler)
    told = _told(names, own, others)
    own, others = (type(each)(each.pixels, each.labels[:, told]) for each in (own, others))
    refused = dict.fromkeys(names, "too few pictures with it, or without")
    names = [names[k] for k in told]
    first, second = (_learnt(part, seed) for seed, part in enumerate((own, others)))
    values = [_aucs(first, others), _aucs(second, own)]
    good = np.flatnonzero(np.min(values, axis=0) >= LEAST_AUC)
    refused = {name: why for name, why in refused.items() if name not in names} | {
        name: f"AUC {values[0][k]:.2f} and {values[1][k]:.2f} of the two heads"
        for k, name in enumerate(names)
        if k not in good
    }
    if refused:
        listed = "; ".join(f"{name} ({why})" for name, why in refused.items())
        log.warning(f"refused, an attribute needs two heads of AUC {LEAST_AUC} or more: {listed}")
    if not len(good):
        raise UserError("no attribute is left", flag=f"--attributes {request.attributes}")
    scores, latents = _scored(sampler, request.samples, first, second)
    vectors = conditioned(scores[0][:, good], latents)
    deviations = scores[1].std(axis=0)
    kept = [names[k] for k in good]
    found = []
    with progress(len(good), "judging", "directions") as bar:
        for row, column in enumerate(good):
            reach = reach_for(scores[0][:, column], latents, vectors[row])
            gains = shifts(sampler, second, vectors[row], reach, JUDGED)[:, good]
            verdict = judge(gains, deviations[good], kept, row)
            facts = {
                "auc": round(values[0][column], 3),
                "judge_auc": round(values[1][column], 3),
                "accuracy": round(verdict.accuracy, 3),
                "effect": round(verdict.effect, 2),
                "others": {name: round(x, 2) for name, x in verdict.others.items()},
            }
            found.append(Found(kept[row], "attribute", vectors[row], reach, facts))
            bar.update()
    _tell(found)
    return found, refused


def _told(names, own, others):
    """int (n,): the attributes of which both sets have some with and some without."""
    counts = np.array([[each.labels.sum(axis=0), (1 - each.labels).sum(axis=0)]
                       for each in (own, others)])  # fmt: skip
    told = np.flatnonzero(counts.min(axis=(0, 1)) >= FEWEST)
    if not len(told):
        raise UserError(f"none of {', '.join(names[:5])} has {FEWEST} pictures with it and without")
    return told


def _learnt(part, seed):
    head = Head(part.pixels.shape[1], part.pixels.shape[3], part.labels.shape[1], seed)
    words = ("the first head", "the head that judges")[seed]
    with progress(STEPS, f"training {words}", "steps") as bar:
        head.learn(part.pixels, part.labels, bar.update, STEPS)
    return head


def _aucs(head, part):
    """list[float]: of each attribute, on pictures that the head was not trained on."""
    scores = head.scores(part.pixels)
    return [auc(scores[:, k], part.labels[:, k]) for k in range(scores.shape[1])]


def _scored(sampler, count, *heads):
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
