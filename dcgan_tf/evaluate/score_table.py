"""Tables of scores: one evaluation, or several side by side where protocols match."""

from collections.abc import Sequence
from pathlib import Path

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.log import printable
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, cell, mismatch, read_records, refuse_mismatch, title

PUBLISHED = 50_000  # images of the scores in papers
_HIGHER = ("inception_score", "precision", "recall")  # is better; for all other scores lower


def table(record: dict, before: dict | None = None) -> str:
    """Format a record as text: scores, baseline, scores `before`, protocol and notes."""
    protocol, columns = record["protocol"], {"score": record, "baseline": record["floor"]}
    real = f"real vs. real: {record['floor_of']}, vs. the same reference set"
    lines = [
        f"{record['scored']}, vs. {record['compared_with']}",
        f"baseline, {real}" if record["floor"] else f"no baseline: {record['floor_reason']}",
    ]
    if before:
        lines.append(f"before: {before['scored']}")
        columns["before"] = before
    lines += ["", _row("", columns, "")]
    for name in (name for name in LABELS if record.get(name) is not None):
        words = f"{'higher' if name in _HIGHER else 'lower'} is better"
        if change := _change(record, before, name):
            words += f": {change} than before"
        lines.append(_row(LABELS[name], [_shown(each, name) for each in columns.values()], words))
    lines += [
        "",
        f"protocol: crop {protocol['crop']}, {protocol['size']}x{protocol['size']}, "
        f"{protocol['filter']}; layer {protocol['layer']}, Inception "
        f"{protocol['inception_sha256'][:12]}; {protocol['weights_of'] or 'files'}; "
        f"seed {protocol['seed']}; {protocol['device']}",
        *(note if note.startswith("warning") else f"note: {note}" for note in record["notes"]),
        *(f"note: {note}" for note in _hints(record)),
    ]
    return printable("\n".join(lines))


def _row(head, cells, words):
    return f"{head:16}" + "".join(f"{cell:>20}" for cell in cells) + f"  {words}".rstrip()


def _shown(record, name):
    """Format a score with two decimals, but KID in scientific notation."""
    if name == "kid_mean" or not record or record.get(name) is None:
        return cell(record, name)
    return f"{record[name]:.2f}"


def _change(record, before, name):
    """ "better" or "worse"; "" if unknown, or equal as shown."""
    now, then = record.get(name), before.get(name) if before else None
    if now is None or then is None or _shown(record, name) == _shown(before, name):
        return ""
    return "better" if (now > then) == (name in _HIGHER) else "worse"


def _hints(record):
    hints = []
    few = record["protocol"]["scored_count"] < PUBLISHED
    if few and _shown(record, "recall") == "0.00":
        hints.append(f"recall 0.00 is usual below {PUBLISHED:,} images")
    if record["kid_mean"] < 0:
        hints.append("KID is unbiased: for equal sets it is around 0, and often negative")
    if record["protocol"]["layer"] == "mixed_7":
        hints.append("FID-768 cannot be compared with any published FID")
    return hints


def list_runs(folders: Sequence[str | Path]) -> None:
    """Print the scores comparable with the newest one of the first run; name the others."""
    records = {folder: read_records(Run(folder).evaluation) for folder in folders}
    for folder, found in records.items():
        if not found:
            raise UserError(f"{folder}: no scores in evaluation.jsonl; evaluate this run first")
    newest = records[folders[0]][-1]
    names = [name for name in LABELS if name in newest]
    titles = [title(record) for found in records.values() for record in found]
    width = max(map(len, ["baseline: real vs. real", *titles])) + 2

    def row(head, record):
        return f"{head:{width}}" + "".join(f"{_shown(record, name):>20}" for name in names)

    lines, refused = [f"{'':{width}}" + "".join(f"{LABELS[name]:>20}" for name in names)], {}
    for found in records.values():
        if all(mismatch(newest, record) for record in found):
            refuse_mismatch(newest, found[-1])
        for record in found:
            if why := mismatch(newest, record):
                refused.setdefault(why, []).append(title(record))
            else:
                lines.append(row(title(record), record))
    lines.append(row("baseline: real vs. real", newest.get("floor")))
    for why, members in refused.items():
        lines.append(f"not comparable, left out: {', '.join(members)} ({why})")
    print(printable("\n".join(lines)))


def at_epoch(record: dict) -> str:
    """Write the epoch of a record as the end of a phrase; "" if it has none."""
    return "" if record["epoch"] is None else f", epoch {record['epoch']}"
