"""Recorded scores of a run (evaluation.jsonl), and whether they are comparable.

Each record has a `protocol`, a flat dict. Two records may be compared if all fields of their
protocols are equal except those of SUBJECT, which say what was scored.
"""

import logging
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import editing_lines
from dcgan_tf.common.foreign import is_count, is_number, json_object, lines_of

log = logging.getLogger(__name__)

FRECHET_NAMES = {"pool_3": "fid", "mixed_7": "fid_768"}
SUBJECT = ("scored_sha256", "generator_sha256")
LABELS = {
    "fid": "FID",
    "fid_768": "FID-768",
    "kid_mean": "KID",
    "inception_score": "Inception Score",
    "precision": "precision",
    "recall": "recall",
}
NUMBERS = (*LABELS, "kid_std")


def read_records(path: Path) -> list[dict]:
    """Read the records of an evaluation.jsonl; warn about other lines."""
    lines = {number: line for number, line in enumerate(lines_of(path), start=1) if line.strip()}
    records = {number: parse_record(line) for number, line in lines.items()}
    if bad := [str(number) for number, record in records.items() if record is None]:
        numbers = limits.shorten(", ".join(bad))
        log.warning(f"{path}: skipped lines that are not records of scores: {numbers}")
    return [record for record in records.values() if record is not None]


def append_record(path: Path, record: dict) -> None:
    """Add a record to an evaluation.jsonl; drop lines that are none, with a warning."""
    read_records(path)
    with editing_lines(path) as records:
        records[:] = [other for other in records if is_record(other)] + [record]


def parse_record(text: bytes) -> dict | None:
    """Parse a record in JSON, None for anything else."""
    record = json_object(text)
    return record if is_record(record) else None


def is_record(record) -> bool:
    """Whether a value has a Fréchet distance, a protocol, and numbers as scores."""
    if not _has_numbers(record) or not isinstance(record.get("protocol"), dict):
        return False
    baseline, epoch, run = (record.get(name) for name in ("floor", "epoch", "run"))
    names = [name for name in FRECHET_NAMES.values() if is_number(record.get(name))]
    if not names or not isinstance(run, str | None):
        return False
    if baseline is not None and not (_has_numbers(baseline) and is_number(baseline.get(names[0]))):
        return False
    return is_count(epoch) or (epoch is None and record.get("by") is None)


def is_verdict(record: dict) -> bool:
    """Whether a memorisation.json has all values that are shown."""
    numbers = all(is_number(record.get(name)) for name in ("copies", "allowed"))
    return numbers and is_count(record.get("samples")) and isinstance(record.get("verdict"), str)


def _has_numbers(scores):
    if not isinstance(scores, dict):
        return False
    values = [scores.get(name) for name in NUMBERS]
    return all(value is None or is_number(value) for value in values)


def frechet_name(record: dict) -> str | None:
    """The distance that a record has, "fid" or "fid_768"; None if neither."""
    return next((name for name in FRECHET_NAMES.values() if name in record), None)


def mismatch(first: dict, second: dict) -> str | None:
    """Say why two records must not be compared, None if they may."""
    one, other = (_protocol(record) for record in (first, second))
    pairs = [
        f"{name} {_short(one.get(name))} and {_short(other.get(name))}"
        for name in one | other
        if name not in SUBJECT and one.get(name) != other.get(name)
    ]
    return "; ".join(pairs) or None


def _protocol(record: dict) -> dict:
    """A record's protocol; older ones compare although their images were not shuffled.

    Shuffling changes only the Inception Score, and that only for images sorted by class.
    """
    protocol = dict(record.get("protocol") or {})
    if "splits" in protocol:
        protocol["splits"] = str(protocol["splits"]).removesuffix(", shuffled")
    return protocol


def refuse_mismatch(first: dict, second: dict) -> None:
    """Raise UserError, naming the fields, unless two records may be compared."""
    if text := mismatch(first, second):
        names = f"{title(first)} and {title(second)}"
        raise UserError(f"{names} have different protocols: {text}; score both in the same way")


def cell(record: dict | None, name: str) -> str:
    """Format one score for a table."""
    value = record.get(name) if record else None
    if record is None or value is None:
        return "-"
    if name == "kid_mean":  # about 1e-6 for equal distributions: no fixed decimals
        spread = record.get("kid_std")
        return f"{value:.2e}" + (f" ± {spread:.0e}" if spread else "")
    return f"{value:.4f}" if value < 10 else f"{value:.2f}"


def title(record: dict) -> str:
    """Say what was scored, in a few words."""
    run, epoch = record.get("run"), record.get("epoch")
    if run is None:
        return str(record.get("scored"))
    return run if epoch is None else f"{run} epoch {epoch}"


def _short(value):
    if isinstance(value, dict):
        return " ".join(f"{name} {item}" for name, item in value.items())
    text = str(value)
    return text[:12] if len(text) == 64 else text  # a SHA-256
