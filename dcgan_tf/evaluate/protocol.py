"""The protocol of a score: a flat dict of everything that decides it.

common/scores.py compares protocols: scores with different ones are never put side by side.
"""

from importlib import metadata

from dcgan_tf.metrics.features import FeatureSet, device
from dcgan_tf.metrics.kid import subset_sizes

FORMAT = 1  # part of the protocol: raise it when a change in the code changes scores
NEIGHBOURS = 3  # k of precision and recall
SPLITS = 10  # of the Inception Score
KID_SUBSETS = 100
KID_SUBSETS_IN_TRAINING = 20  # a fifth: this runs often
PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


def protocol(
    reference: FeatureSet,
    scored: FeatureSet,
    layer: str,
    inception_sha256: str,
    seed: int = 0,
    subsets: int = KID_SUBSETS,
) -> dict:
    """Return what decides a score, in one flat dict.

    Args:
        reference, scored: the real and the scored images.
        layer: of Inception; inception_sha256: of the weights that this layer depends on.
        seed: of the choice of images and of KID's subsets; subsets: how many KID draws.
    """
    size, spread_size = subset_sizes(min(reference.count, scored.count))
    kid = f"{subsets} subsets of {size}"
    return {
        "reference_sha256": reference.pixels_sha256,
        "reference_count": reference.count,
        "scored_sha256": scored.pixels_sha256,
        "scored_count": scored.count,
        **{name: reference.made_by[name] for name in ("crop", "size", "channels", "filter")},
        "scored_crop": scored.made_by["crop"],
        "weights_of": scored.made_by.get("weights_of"),  # G; null for images from files
        "generator_sha256": scored.made_by.get("generator_sha256"),
        "layer": layer,
        "inception_sha256": inception_sha256,
        "seed": seed,
        "kid": kid if spread_size == size else f"{kid}, spread of those of {spread_size}",
        "neighbours": NEIGHBOURS,
        "splits": SPLITS,
        "device": device(),
        "versions": {"evaluator": FORMAT} | {name: metadata.version(name) for name in PACKAGES},
    }
