"""Recorded scores of a run (evaluation.jsonl), and which of them compare.

Each record has a stamp, its `protocol`, a flat dict. Two may be put side by side if all fields of
their stamps are equal except those of SUBJECT, which say what was scored.
"""

import logging
from pathlib import Path

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
    """The records of an evaluation.jsonl, [] where there is none; what is none is left out.

    A line that is no record of scores is named in a warning.

    Raises:
        UserError: the file cannot be read, or is far larger than any run's.
    """
    records, bad = [], []
    for number, line in enumerate(lines_of(path), start=1):
        record = parse_record(line)
        if record is not None:
            records.append(record)
        elif line.strip():
            bad.append(str(number))
    if bad:
        more = ", ..." if len(bad) > 5 else ""
        log.warning(
            f"{path}: left out what is no record of scores, line {', '.join(bad[:5])}{more}"
        )
    return records


def append_record(path: Path, record: dict) -> None:
    """Add a line to an evaluation.jsonl; what is no record is left out, with a warning."""
    read_records(path)
    with editing_lines(path) as records:
        records[:] = [other for other in records if is_record(other)] + [record]


def parse_record(text: bytes) -> dict | None:
    """A record in JSON, None where it is no JSON or lacks what every record has."""
    record = json_object(text)
    return record if is_record(record) else None


def is_record(record) -> bool:
    """Whether this has a Fréchet distance, a protocol, and numbers where scores belong."""
    if not isinstance(record, dict) or not isinstance(record.get("protocol"), dict):
        return False
    floor = record.get("floor")
    names = [name for name in FRECHET_NAMES.values() if is_number(record.get(name))]
    return bool(
        names
        and _has_numbers(record)
        and (floor is None or (_has_numbers(floor) and is_number(floor.get(names[0]))))
        and (_is_whole(record.get("epoch")) or record.get("by") is None)
        and (record.get("epoch") is None or _is_whole(record["epoch"]))
        and isinstance(record.get("run"), str | None)
    )


def is_verdict(record: dict) -> bool:
    """Whether this is a memorisation.json, with all that is shown of one."""
    numbers = all(is_number(record.get(name)) for name in ("copies", "allowed"))
    return numbers and is_count(record.get("samples")) and isinstance(record.get("verdict"), str)


def _has_numbers(scores):
    if not isinstance(scores, dict):
        return False
    values = [scores.get(name) for name in NUMBERS]
    return all(value is None or is_number(value) for value in values)


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def frechet_name(record: dict) -> str | None:
    """Which a record has: "fid" or "fid_768", None where it has neither."""
    return next((name for name in FRECHET_NAMES.values() if name in record), None)


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


def cell(record: dict | None, name: str) -> str:
    """One score as a table shows it."""
    value = (record or {}).get(name)
    if value is None:
        return "-"
    if name == "kid_mean":  # of equal distributions it is a millionth: no fixed decimals
        spread = record.get("kid_std")
        return f"{value:.2e}" + (f" ± {spread:.0e}" if spread else "")
    return f"{value:.4f}" if value < 10 else f"{value:.2f}"


def title(record: dict) -> str:
    """What was scored, in a few words."""
    if record.get("run") is None:
        return str(record.get("scored"))
    epoch = record.get("epoch")
    return record["run"] if epoch is None else f"{record['run']} epoch {epoch}"


def _short(value):
    if isinstance(value, dict):
        return " ".join(f"{name} {item}" for name, item in value.items())
    text = str(value)
    return text[:12] if len(text) == 64 else text  # a SHA-256
