"""The stamp that every score carries, and the refusal to compare scores with different stamps.

A stamp is a flat dict. Two scores may be put side by side if all its fields are equal except those
of SUBJECT, which say what was scored and so must be free to differ.
"""

from importlib import metadata

from dcgan_tf.common.errors import UserError

FORMAT = 1  # part of the stamp: raise it when a change in the code changes scores
NEIGHBOURS = 3  # k of precision and recall
SPLITS = 10  # of the Inception Score
SUBJECT = ("scored_sha256", "generator_sha256")
PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


def stamp(reference, scored, *, layer, inception_sha256, seed, subsets, device):
    """What decides a score, in one flat dict.

    Args:
        reference, scored: features.FeatureSet of the real and of the scored pictures.
        layer: of Inception; inception_sha256: of the weights that it depends on.
        seed: of the choice of pictures and of KID's subsets.
        subsets: how many KID draws.
        device: "CPU" or "GPU".

    Returns:
        dict.
    """
    size = min(1000, reference.count, scored.count)
    return {
        "reference_sha256": reference.pixels_sha256,
        "reference_count": reference.count,
        "scored_sha256": scored.pixels_sha256,
        "scored_count": scored.count,
        **{name: reference.made_by[name] for name in ("crop", "size", "channels", "filter")},
        "scored_crop": scored.made_by["crop"],
        "weights_of": scored.made_by.get("weights_of"),  # G; null for pictures from files
        "generator_sha256": scored.made_by.get("generator_sha256"),
        "layer": layer,
        "inception_sha256": inception_sha256,
        "seed": seed,
        "kid": f"{subsets} subsets of {size}",
        "neighbours": NEIGHBOURS,
        "splits": SPLITS,
        "device": device,
        "versions": {"evaluator": FORMAT} | {name: metadata.version(name) for name in PACKAGES},
    }


def differences(first, second):
    """list[str]: the fields in which two stamps differ though they must not, `versions` last."""
    names = [name for name in {**first, **second} if name not in SUBJECT]
    return [name for name in names if first.get(name) != second.get(name)]


def mismatch(first, second):
    """str | None: why two records of evaluation.jsonl must not be compared, None if they may."""
    one, other = (record.get("protocol") or {} for record in (first, second))
    pairs = [
        f"{n} {_short(one.get(n))} and {_short(other.get(n))}" for n in differences(one, other)
    ]
    return "; ".join(pairs) or None


def refuse_mismatch(first, second):
    """Raise UserError, naming the fields, unless two records may be put side by side."""
    if text := mismatch(first, second):
        raise UserError(
            f"{describe(first)} and {describe(second)} have different protocols: {text}; "
            "score both in the same way"
        )


def describe(record):
    """str: what was scored, in a few words."""
    if record.get("run") is None:
        return str(record.get("scored"))
    return f"{record['run']} epoch {record.get('epoch')}"


def _short(value):
    if isinstance(value, dict):
        return " ".join(f"{name} {item}" for name, item in value.items())
    text = str(value)
    return text[:12] if len(text) == 64 else text  # a SHA-256
