"""The stamp that every score carries, and the refusal to compare scores with different stamps.

A stamp is a flat dict. Two scores may be put side by side if all its fields are equal except those
of SUBJECT, which say what was scored and so must be free to differ.
"""

from dataclasses import dataclass
from importlib import metadata

from dcgan_tf.common.errors import UserError
from dcgan_tf.metrics.kid import subset_sizes

FORMAT = 1  # part of the stamp: raise it when a change in the code changes scores
FRECHET_NAMES = {"pool_3": "fid", "mixed_7": "fid_768"}
NEIGHBOURS = 3  # k of precision and recall
SPLITS = 10  # of the Inception Score
KID_SUBSETS = 100
KID_SUBSETS_IN_TRAINING = 20  # a fifth: this runs often
SUBJECT = ("scored_sha256", "generator_sha256")
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


def differences(first: dict, second: dict) -> list[str]:
    """The fields in which two stamps differ though they must not, `versions` last."""
    names = [name for name in {**first, **second} if name not in SUBJECT]
    return [name for name in names if first.get(name) != second.get(name)]


def mismatch(first: dict, second: dict) -> str | None:
    """Why two records of evaluation.jsonl must not be compared, None if they may."""
    one, other = (record.get("protocol") or {} for record in (first, second))
    pairs = [
        f"{n} {_short(one.get(n))} and {_short(other.get(n))}" for n in differences(one, other)
    ]
    return "; ".join(pairs) or None


def refuse_mismatch(first: dict, second: dict) -> None:
    """Raise UserError, naming the fields, unless two records may be put side by side."""
    if text := mismatch(first, second):
        raise UserError(
            f"{title(first)} and {title(second)} have different protocols: {text}; "
            "score both in the same way"
        )


def title(record: dict) -> str:
    """What was scored, in a few words."""
    if record.get("run") is None:
        return str(record.get("scored"))
    return f"{record['run']} epoch {record.get('epoch')}"


def _short(value):
    if isinstance(value, dict):
        return " ".join(f"{name} {item}" for name, item in value.items())
    text = str(value)
    return text[:12] if len(text) == 64 else text  # a SHA-256
