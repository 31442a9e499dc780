"""The protocol of a score: a flat dict of everything that decides it.

Which scores may be put side by side, the stamps tell: common/scores.py.
"""

from dataclasses import dataclass
from importlib import metadata

from dcgan_tf.metrics.kid import subset_sizes

FORMAT = 1  # part of the stamp: raise it when a change in the code changes scores
NEIGHBOURS = 3  # k of precision and recall
SPLITS = 10  # of the Inception Score
KID_SUBSETS = 100
KID_SUBSETS_IN_TRAINING = 20  # a fifth: this runs often
PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


@dataclass(frozen=True)
class Method:
    """How pictures are scored, apart from the pictures.

    Attributes:
        layer: of Inception; inception_sha256: of the weights that it depends on.
        seed: of the choice of pictures and of KID's subsets.
        subsets: how many KID draws.
        device: "CPU" or "GPU".
    """

    layer: str
    inception_sha256: str
    seed: int
    subsets: int
    device: str


def stamp(reference, scored, method: Method) -> dict:
    """What decides a score, in one flat dict.

    Args:
        reference, scored: features.FeatureSet of the real and of the scored pictures.
        method: how they are scored.
    """
    return {
        "reference_sha256": reference.pixels_sha256,
        "reference_count": reference.count,
        "scored_sha256": scored.pixels_sha256,
        "scored_count": scored.count,
        **{name: reference.made_by[name] for name in ("crop", "size", "channels", "filter")},
        "scored_crop": scored.made_by["crop"],
        "weights_of": scored.made_by.get("weights_of"),  # G; null for pictures from files
        "generator_sha256": scored.made_by.get("generator_sha256"),
        "layer": method.layer,
        "inception_sha256": method.inception_sha256,
        "seed": method.seed,
        "kid": _kid(method.subsets, min(reference.count, scored.count)),
        "neighbours": NEIGHBOURS,
        "splits": SPLITS,
        "device": method.device,
        "versions": {"evaluator": FORMAT} | {name: metadata.version(name) for name in PACKAGES},
    }


def _kid(subsets, fewest):
    size, spread_size = subset_sizes(fewest)
    text = f"{subsets} subsets of {size}"
    return text if spread_size == size else f"{text}, spread of those of {spread_size}"
