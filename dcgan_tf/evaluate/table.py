"""Scores in words: the table of one evaluation, and several side by side where stamps allow it."""

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import read_lines
from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate.protocol import describe, mismatch

LABELS = {
    "fid": "FID",
    "fid_768": "FID-768",
    "kid_mean": "KID",
    "inception_score": "Inception Score",
    "precision": "precision",
    "recall": "recall",
}


def cell(record, name):
    """str: one score as a table shows it."""
    value = (record or {}).get(name)
    if value is None:
        return "-"
    if name == "kid_mean":  # of equal distributions it is a millionth: no fixed decimals
        return f"{value:.2e}" + (f" ± {record['kid_std']:.0e}" if record["kid_std"] else "")
    return f"{value:.4f}" if value < 10 else f"{value:.2f}"


def table(record):
    """str: a record with its floor beside each score, the protocol in words, and what to heed."""
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
    floor = record["floor_of"] or f"none: {record['floor_reason']}"
    lines += [
        "",
        f"real against real: {floor}",
        f"protocol: crop {protocol['crop']}, {protocol['size']}x{protocol['size']}, "
        f"{protocol['filter']}; layer {protocol['layer']}, Inception "
        f"{protocol['inception_sha256'][:12]}; {protocol['weights_of'] or 'files'}; "
        f"seed {protocol['seed']}; {protocol['device']}",
        *(note if note.startswith("warning") else f"note: {note}" for note in record["notes"]),
    ]
    if protocol["layer"] == "mixed_7":
        lines.append("note: FID-768 cannot be compared with any published FID")
    return "\n".join(lines)


def list_runs(folders):
    """Print the scores of one or several runs that may be put side by side, and name the others.

    Raises:
        UserError: a run without scores, or none that matches the first run's newest; fields named.
    """
    records = {folder: read_lines(Run(folder).evaluation) for folder in folders}
    for folder, found in records.items():
        if not found:
            raise UserError(f"{folder}: no evaluation.jsonl with scores; evaluate it with --run")
    newest = records[folders[0]][-1]
    names = [name for name in LABELS if name in newest]
    head = "".join(f"{LABELS[name]:>20}" for name in names)
    lines, refused = [f"{'':28}{head}"], {}
    for folder, found in records.items():
        matching = [record for record in found if not mismatch(newest, record)]
        if not matching:
            raise UserError(
                f"{folder}: no score has the protocol of {describe(newest)} in {folders[0]}: "
                f"{mismatch(newest, found[-1])}; score both in the same way"
            )
        lines += [
            f"{describe(record)[:28]:28}" + "".join(f"{cell(record, name):>20}" for name in names)
            for record in matching
        ]
        for record in found:
            if why := mismatch(newest, record):
                refused.setdefault(why, []).append(describe(record))
    floor = "".join(f"{cell(newest['floor'], name):>20}" for name in names)
    print("\n".join([*lines, f"{'real against real':28}{floor}"]))
    for why, members in refused.items():
        print(f"not comparable, left out: {', '.join(members)} ({why})")
