"""Score a set of images against a reference set: one record with its baseline and protocol."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from dcgan_tf.common.scores import FRECHET_NAMES
from dcgan_tf.evaluate.archive import Choice
from dcgan_tf.metrics.features import FeatureSet, Images, device, extract
from dcgan_tf.metrics.frechet import bias_warning, frechet_distance
from dcgan_tf.metrics.inception import Inception, check_layer, load_inception
from dcgan_tf.metrics.inception_score import inception_score, softmax
from dcgan_tf.metrics.kid import kernel_distance, subset_sizes
from dcgan_tf.metrics.precision_recall import precision_recall

FORMAT = 1  # part of the protocol: increment it when the code changes scores
NEIGHBORS = 3  # k of precision and recall
SPLITS = 10  # of the Inception Score
KID_SUBSETS = 100
KID_SUBSETS_IN_TRAINING = 20  # a fifth: this runs often
PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


def compare(
    real: FeatureSet, scored: FeatureSet, layer: str, seed: int, subsets: int = KID_SUBSETS
) -> tuple[dict, list[str]]:
    """Compute all scores, None where one cannot be computed, and notes on why and on bias."""
    kid_mean, kid_std = kernel_distance(real.features, scored.features, subsets, seed=seed)
    scores = {
        FRECHET_NAMES[layer]: frechet_distance(real.statistics, scored.statistics),
        "kid_mean": kid_mean,
        "kid_std": kid_std,
        **dict.fromkeys(("inception_score", "precision", "recall")),
    }
    notes, fewest = [], min(real.count, scored.count)
    if text := bias_warning(real.statistics, scored.statistics):
        notes.append(f"warning: {text}")
    if scored.logits is None:
        notes.append("no Inception Score: the Inception weights do not reach the softmax")
    elif scored.count >= SPLITS:  # fewer if the training images are few
        # Shuffled: in order of their classes, each split would have few of them.
        order = np.random.RandomState(0).permutation(scored.count)
        scores["inception_score"] = inception_score(softmax(scored.logits[order]), SPLITS)[0]
    if fewest <= NEIGHBORS:
        notes.append(f"no precision and recall: {fewest} images per side, {NEIGHBORS + 1} needed")
    else:
        scores["precision"], scores["recall"] = precision_recall(
            real.features, scored.features, NEIGHBORS
        )
    return scores, notes


@dataclass
class Scorer:
    """Score images against one reference set, whose features are computed once."""

    inception: Inception
    layer: str
    choice: Choice
    cache: Path | None  # folder for the features of real images
    seed: int = 0  # of KID's subsets
    subsets: int = KID_SUBSETS  # number that KID draws
    reference: FeatureSet | None = None  # from the first score on
    _baseline: dict | None = None

    @property
    def real_count(self) -> int:
        """Number of real images, for the progress bar."""
        sides = self.choice.reference, self.choice.held_out
        return sum(side.count for side in sides if side)

    def score(
        self,
        images: Images,
        progress: Callable[[int], object] = lambda count: None,
        keep: bool = True,
    ) -> dict:
        """Score images, as many as the held-out ones.

        Args:
            progress: called with the number of images whose features were computed.
            keep: cache the features of these images too.

        Returns:
            The scores, `floor` (the baseline), `floor_reason`, `notes` and `protocol`.
        """
        held_out = self.choice.held_out
        if self.reference is None:
            self.reference = self._features(self.choice.reference, self.cache, progress)
            if held_out:
                others = self._features(held_out, self.cache, progress)
                self._baseline = self._compare(self.reference, others)[0]
        scored = self._features(images, self.cache if keep else None, progress)
        scores, notes = self._compare(self.reference, scored)
        return scores | {
            "floor": self._baseline,
            "floor_reason": self.choice.reason,
            "compared_with": self.choice.reference.name,
            "floor_of": held_out and held_out.name,
            "notes": notes,
            "protocol": self.protocol(self.reference, scored),
        }

    def _features(self, images, cache, progress):
        return extract(images, self.inception, self.layer, cache, progress)

    def _compare(self, reference, scored):
        return compare(reference, scored, self.layer, self.seed, self.subsets)

    def protocol(self, reference: FeatureSet, scored: FeatureSet) -> dict:
        """Return all that decides a score, in one flat dict; common/scores.py compares them."""
        size, spread_size = subset_sizes(min(reference.count, scored.count))
        kid = f"{self.subsets} subsets of {size}"
        return {
            "reference_sha256": reference.pixels_sha256,
            "reference_count": reference.count,
            "scored_sha256": scored.pixels_sha256,
            "scored_count": scored.count,
            **{name: reference.made_by[name] for name in ("crop", "size", "channels", "filter")},
            "scored_crop": scored.made_by["crop"],
            "weights_of": scored.made_by.get("weights_of"),  # G; null for images from files
            "generator_sha256": scored.made_by.get("generator_sha256"),
            "layer": self.layer,
            "inception_sha256": self.inception.weights_hash(self.layer),
            "seed": self.seed,
            "kid": kid if spread_size == size else f"{kid}, spread of those of {spread_size}",
            "neighbours": NEIGHBORS,
            "splits": SPLITS if scored.logits is None else f"{SPLITS}, shuffled",
            "device": device(),
            "versions": {"evaluator": FORMAT} | {name: metadata.version(name) for name in PACKAGES},
        }


def open_inception(
    path: str | os.PathLike | None, wanted: str | None = None
) -> tuple[Inception, str]:
    """Load Inception, by default downloaded, and choose its layer, by default the deepest."""
    inception = load_inception(path)
    layer = wanted or ("pool_3" if "pool_3" in inception.layers else "mixed_7")
    check_layer(layer, inception.layers)
    return inception, layer
