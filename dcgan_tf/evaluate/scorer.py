"""Score a set of images against a reference set: one record with its baseline and protocol."""

from collections.abc import Callable
from pathlib import Path

from dcgan_tf.common.scores import FRECHET_NAMES
from dcgan_tf.evaluate.protocol import KID_SUBSETS, NEIGHBOURS, SPLITS, protocol
from dcgan_tf.evaluate.reference import Choice
from dcgan_tf.metrics.features import FeatureSet, Images, extract
from dcgan_tf.metrics.frechet import bias_warning, frechet_distance
from dcgan_tf.metrics.inception import Inception, check_layer, load_inception
from dcgan_tf.metrics.inception_score import inception_score, softmax
from dcgan_tf.metrics.kid import kernel_distance
from dcgan_tf.metrics.precision_recall import precision_recall


def compare(
    real: FeatureSet, scored: FeatureSet, layer: str, seed: int, subsets: int = KID_SUBSETS
) -> tuple[dict, list[str]]:
    """Compute all scores of one set of features against another.

    Args:
        layer: "pool_3" or "mixed_7"; it decides whether the first score is called FID.
        seed, subsets: of KID.

    Returns:
        The scores, None for those that cannot be had, and notes: why not, and what is biased.
    """
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
    if kid_std is None:
        notes.append(f"no standard deviation of KID: it needs 4 images a side, there are {fewest}")
    if scored.logits is None:
        notes.append("no Inception Score: the Inception weights do not reach the softmax")
    elif scored.count < SPLITS:
        notes.append(f"no Inception Score: it needs {SPLITS} images, there are {scored.count}")
    else:
        scores["inception_score"] = inception_score(softmax(scored.logits), SPLITS)[0]
    if fewest <= NEIGHBOURS:
        notes.append(
            f"no precision and recall: each side needs more than {NEIGHBOURS} images, "
            f"there are {fewest}"
        )
    else:
        scores["precision"], scores["recall"] = precision_recall(
            real.features, scored.features, NEIGHBOURS
        )
    return scores, notes


class Scorer:
    """Scores images against one reference set, whose features are computed once.

    Args:
        inception: the network; layer: "pool_3" or "mixed_7".
        choice: the reference set and the real images of the baseline.
        cache: folder for the features of real images, or None.
        seed: of KID's subsets, and for the protocol; subsets: how many KID draws.
    """

    def __init__(
        self,
        inception: Inception,
        layer: str,
        choice: Choice,
        cache: Path | None,
        seed: int = 0,
        subsets: int = KID_SUBSETS,
    ):
        self.layer, self.choice, self.cache = layer, choice, cache
        self._inception, self._seed, self._subsets = inception, seed, subsets
        self._reference = self._baseline = None

    @property
    def real_count(self) -> int:
        """Number of real images, for the progress."""
        held_out = self.choice.held_out
        return self.choice.reference.count + (held_out.count if held_out else 0)

    def score(
        self,
        images: Images,
        progress: Callable[[int], None] = lambda count: None,
        keep: bool = True,
    ) -> dict:
        """Score images, as many as the held-out ones.

        Args:
            images: what to score.
            progress: called with the number of images whose features were computed.
            keep: cache their features too.

        Returns:
            The scores, `floor` (the baseline), `floor_reason`, `notes` and `protocol`.
        """
        self._prepare(progress)
        scored = self._features(images, self.cache if keep else None, progress)
        scores, notes = self._compare(scored)
        weights = self._inception.weights_hash(self.layer)
        return scores | {
            "floor": self._baseline,
            "floor_reason": self.choice.reason,
            "compared_with": self.choice.reference.name,
            "floor_of": self.choice.held_out and self.choice.held_out.name,
            "notes": notes,
            "protocol": protocol(
                self._reference, scored, self.layer, weights, self._seed, self._subsets
            ),
        }

    def _prepare(self, progress):
        """Compute the features of the reference set and the baseline, once."""
        if self._reference is not None:
            return
        self._reference = self._features(self.choice.reference, self.cache, progress)
        if self.choice.held_out:
            others = self._features(self.choice.held_out, self.cache, progress)
            self._baseline = self._compare(others)[0]

    def _features(self, images, cache, progress):
        return extract(images, self._inception, self.layer, cache, progress)

    def _compare(self, scored):
        return compare(self._reference, scored, self.layer, self._seed, self._subsets)


def open_inception(path: str | None, wanted: str | None = None) -> tuple[Inception, str]:
    """Load the network and name the layer whose features are compared.

    Args:
        path: of the weights, None to download them.
        wanted: the layer, None for the deepest that the weights reach.

    Raises:
        UserError: no usable weights, or they do not reach that layer.
    """
    inception = load_inception(path)
    layer = wanted or ("pool_3" if "pool_3" in inception.layers else "mixed_7")
    check_layer(layer, inception.layers)
    return inception, layer
