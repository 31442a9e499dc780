"""Tables of scores: one evaluation, or several side by side where protocols match."""

from collections.abc import Sequence
from pathlib import Path

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.log import printable
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, cell, mismatch, read_records, refuse_mismatch, title


def table(record: dict) -> str:
    """Show a record: its baseline next to each score, the protocol in words, and the notes."""
    protocol = record["protocol"]
    lines = [
        f"{record['scored']}",
        f"against {record['compared_with']}",
        "",
        f"{'':16}  {'score':>20}  {'real against real':>20}",
    ]
    lines += [
        f"{label:16}  {cell(record, name):>20}  {cell(record['floor'], name):>20}"
        for name, label in LABELS.items()
        if name in record
    ]
    baseline = record["floor_of"] or f"none: {record['floor_reason']}"
    lines += [
        "",
        f"real against real: {baseline}",
        f"protocol: crop {protocol['crop']}, {protocol['size']}x{protocol['size']}, "
        f"{protocol['filter']}; layer {protocol['layer']}, Inception "
        f"{protocol['inception_sha256'][:12]}; {protocol['weights_of'] or 'files'}; "
        f"seed {protocol['seed']}; {protocol['device']}",
        *(note if note.startswith("warning") else f"note: {note}" for note in record["notes"]),
    ]
    if protocol["layer"] == "mixed_7":
        lines.append("note: FID-768 cannot be compared with any published FID")
    return printable("\n".join(lines))


def list_runs(folders: Sequence[str | Path]) -> None:
    """Print the scores of runs that may be put side by side, and name the others.

    Raises:
        UserError: a run without scores, or none that matches the newest of the first run.
    """
    records = {folder: read_records(Run(folder).evaluation) for folder in folders}
    for folder, found in records.items():
        if not found:
            raise UserError(f"{folder}: no evaluation.jsonl with scores; evaluate it with --run")
    newest = records[folders[0]][-1]
    names = [name for name in LABELS if name in newest]
    lines, refused = [_row("", LABELS, names)], {}
    for found in records.values():
        if all(mismatch(newest, record) for record in found):
            refuse_mismatch(newest, found[-1])
        for record in found:
            if why := mismatch(newest, record):
                refused.setdefault(why, []).append(title(record))
            else:
                lines.append(_row(title(record), {n: cell(record, n) for n in names}, names))
    baseline = {name: cell(newest.get("floor"), name) for name in names}
    lines.append(_row("real against real", baseline, names))
    for why, members in refused.items():
        lines.append(f"not comparable, left out: {', '.join(members)} ({why})")
    print(printable("\n".join(lines)))


def _row(head, cells, names):
    return f"{head[:28]:28}" + "".join(f"{cells[name]:>20}" for name in names)


def at_epoch(record: dict) -> str:
    """The epoch in checkpoints.identify's record, as the end of a phrase; "" if it has none."""
    return "" if record["epoch"] is None else f", epoch {record['epoch']}"
