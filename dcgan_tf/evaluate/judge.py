"""Two sets of pictures to one record of scores, with the real-vs-real floor and the stamp."""

import warnings
from concurrent.futures import ThreadPoolExecutor

from dcgan_tf.common.errors import UserError
from dcgan_tf.evaluate.protocol import NEIGHBOURS, SPLITS, stamp
from dcgan_tf.metrics.features import device, extract
from dcgan_tf.metrics.frechet import bias_warning, frechet_distance
from dcgan_tf.metrics.inception_score import inception_score, softmax
from dcgan_tf.metrics.kid import kernel_distance
from dcgan_tf.metrics.precision_recall import precision_recall

FRECHET_NAMES = {"pool_3": "fid", "mixed_7": "fid_768"}
KID_SUBSETS = 100


def frechet_name(record):
    """str: "fid" or "fid_768", whichever a record has; None where it has neither."""
    return next((name for name in FRECHET_NAMES.values() if name in record), None)


def compare(real, scored, layer, seed, subsets=KID_SUBSETS):
    """All scores of one FeatureSet against another.

    Args:
        real, scored: features.FeatureSet.
        layer: "pool_3" or "mixed_7"; it decides whether the first score is called FID.
        seed, subsets: of KID.

    Returns:
        dict of the scores (None where they cannot be had), list of why and of what is biased.
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
    found["inception_score"] = None
    if scored.logits is None:
        notes.append("no Inception Score: the Inception weights do not reach the softmax")
    elif scored.count < SPLITS:
        notes.append(f"no Inception Score: it needs {SPLITS} pictures, there are {scored.count}")
    else:
        found["inception_score"] = inception_score(softmax(scored.logits), SPLITS)[0]
    found["precision"] = found["recall"] = None
    fewest = min(real.count, scored.count)
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


class Judge:
    """Scores pictures against one choice of real ones; what does not change is computed once.

    Args:
        inception: inception.Inception.
        layer: "pool_3" or "mixed_7".
        choice: reals.Choice.
        cache: folder for the features of real pictures, or None.
        seed: of KID's subsets, and for the stamp; subsets: how many KID draws.
    """

    def __init__(self, inception, layer, choice, cache, seed=0, subsets=KID_SUBSETS):
        self.layer, self.choice, self.cache = layer, choice, cache
        self._inception, self._seed, self._subsets = inception, seed, subsets
        self._reference = self._floor = None

    def features(self, pictures, progress, cache):
        """features.FeatureSet of any pictures, by this judge's network and layer."""
        return extract(pictures, self._inception, self.layer, cache, progress)

    def score(self, pictures, progress=lambda count: None, keep=True):
        """Score pictures.

        Args:
            pictures: reals.Pictures, as many as the held-out ones.
            progress: called with the number of pictures whose features were computed.
            keep: cache their features too.

        Returns:
            dict: the scores, `floor`, `floor_reason`, `notes` and `protocol`.
        """
        self._prepare(progress)
        scored = self.features(pictures, progress, self.cache if keep else None)
        found, notes = compare(self._reference, scored, self.layer, self._seed, self._subsets)
        return found | {
            "floor": self._floor,
            "floor_reason": self.choice.reason,
            "compared_with": self.choice.reference.name,
            "floor_of": self.choice.held_out and self.choice.held_out.name,
            "notes": notes,
            "protocol": stamp(
                self._reference,
                scored,
                layer=self.layer,
                inception_sha256=self._inception.weights_hash(self.layer),
                seed=self._seed,
                subsets=self._subsets,
                device=device(),
            ),
        }

    def _prepare(self, progress):
        """The real side and the floor, once."""
        if self._reference is not None:
            return
        with ThreadPoolExecutor(1) as thread:
            # The held-out pictures are packed while features of the others are computed.
            held_out = thread.submit(lambda: self.choice.held_out)
            self._reference = self.features(self.choice.reference, progress, self.cache)
        if held_out.result() is None:
            progress(self.choice.held_count)
            return
        others = self.features(held_out.result(), progress, self.cache)
        self._floor = compare(self._reference, others, self.layer, self._seed, self._subsets)[0]


def best_layer(inception, wanted=None):
    """str: `wanted`, or the deepest feature layer that the weights reach.

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
