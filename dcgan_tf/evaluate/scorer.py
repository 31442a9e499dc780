"""Score two sets of images: one record with its baseline and protocol."""

import warnings
from collections.abc import Callable
from pathlib import Path

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.scores import FRECHET_NAMES
from dcgan_tf.evaluate.protocol import (
    KID_SUBSETS,
    NEIGHBOURS,
    SPLITS,
    Method,
    stamp,
)
from dcgan_tf.evaluate.reference import Choice
from dcgan_tf.metrics.features import FeatureSet, Pictures, device, extract
from dcgan_tf.metrics.frechet import bias_warning, frechet_distance
from dcgan_tf.metrics.inception import Inception, load_inception
from dcgan_tf.metrics.inception_score import inception_score, softmax
from dcgan_tf.metrics.kid import kernel_distance
from dcgan_tf.metrics.precision_recall import precision_recall


def compare(
    real: FeatureSet, scored: FeatureSet, layer: str, seed: int, subsets: int = KID_SUBSETS
) -> tuple[dict, list[str]]:
    """All scores of one FeatureSet against another.

    Args:
        real, scored: the two sides.
        layer: "pool_3" or "mixed_7"; it decides whether the first score is called FID.
        seed, subsets: of KID.

    Returns:
        The scores (None where they cannot be had), and why, and what is biased.
    """
    found, notes = {}, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # its text goes into the notes instead
        found[FRECHET_NAMES[layer]] = frechet_distance(real.statistics, scored.statistics)
    if text := bias_warning(real.statistics, scored.statistics):
        notes.append(f"warning: {text}")
    found["kid_mean"], found["kid_std"] = kernel_distance(
        real.features, scored.features, subsets, seed=seed
    )
    fewest = min(real.count, scored.count)
    if found["kid_std"] is None:
        notes.append(
            f"no standard deviation of KID: it needs 4 pictures a side, there are {fewest}"
        )
    found["inception_score"] = None
    if scored.logits is None:
        notes.append("no Inception Score: the Inception weights do not reach the softmax")
    elif scored.count < SPLITS:
        notes.append(f"no Inception Score: it needs {SPLITS} pictures, there are {scored.count}")
    else:
        found["inception_score"] = inception_score(softmax(scored.logits), SPLITS)[0]
    found["precision"] = found["recall"] = None
    if fewest <= NEIGHBOURS:
        notes.append(
            f"no precision and recall: each side needs more than {NEIGHBOURS} pictures, "
            f"there are {fewest}"
        )
    else:
        found["precision"], found["recall"] = precision_recall(
            real.features, scored.features, NEIGHBOURS
        )
    return found, notes


class Scorer:
    """Scores pictures against one choice of real ones; what does not change is computed once.

    Args:
        inception: the network.
        layer: "pool_3" or "mixed_7".
        choice: the real pictures, and those of the floor.
        cache: folder for the features of real pictures, or None.
        seed: of KID's subsets, and for the stamp; subsets: how many KID draws.
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
        self._reference = self._floor = None

    @property
    def real_count(self) -> int:
        """How many real pictures there are, for the progress."""
        held_out = self.choice.held_out
        return self.choice.reference.count + (held_out.count if held_out else 0)

    def score(
        self,
        pictures: Pictures,
        progress: Callable[[int], None] = lambda count: None,
        keep: bool = True,
    ) -> dict:
        """Score pictures, as many as the held-out ones.

        Args:
            pictures: what to score.
            progress: called with the number of pictures whose features were computed.
            keep: cache their features too.

        Returns:
            The scores, `floor`, `floor_reason`, `notes` and `protocol`.
        """
        self._prepare(progress)
        scored = self._features(pictures, self.cache if keep else None, progress)
        found, notes = self._compare(scored)
        method = Method(
            layer=self.layer,
            inception_sha256=self._inception.weights_hash(self.layer),
            seed=self._seed,
            subsets=self._subsets,
            device=device(),
        )
        return found | {
            "floor": self._floor,
            "floor_reason": self.choice.reason,
            "compared_with": self.choice.reference.name,
            "floor_of": self.choice.held_out and self.choice.held_out.name,
            "notes": notes,
            "protocol": stamp(self._reference, scored, method),
        }

    def _prepare(self, progress):
        """The real side and the floor, once."""
        if self._reference is not None:
            return
        self._reference = self._features(self.choice.reference, self.cache, progress)
        if self.choice.held_out:
            others = self._features(self.choice.held_out, self.cache, progress)
            self._floor = self._compare(others)[0]

    def _features(self, pictures, cache, progress):
        return extract(pictures, self._inception, self.layer, cache, progress)

    def _compare(self, scored):
        return compare(self._reference, scored, self.layer, self._seed, self._subsets)


def open_inception(path: str | None, wanted: str | None = None) -> tuple[Inception, str]:
    """The network, and the layer whose features are compared.

    Args:
        path: of the weights, None to download them; wanted: the layer, None for the deepest.

    Raises:
        UserError: no usable weights, or they do not reach that layer.
    """
    inception = load_inception(path)
    return inception, best_layer(inception, wanted)


def best_layer(inception: Inception, wanted: str | None = None) -> str:
    """`wanted`, or the deepest feature layer that the weights reach.

    Raises:
        UserError: the weights do not reach `wanted`.
    """
    if wanted and wanted not in inception.layers:
        raise UserError(
            f"--features {wanted}: these Inception weights reach {', '.join(inception.layers)}; "
            "use --features mixed_7, or give inception-2015-12-05.tgz with --inception PATH"
        )
    if wanted:
        return wanted
    return "pool_3" if "pool_3" in inception.layers else "mixed_7"
