"""Curves of a report page, the marks in them, and the verdict on the training."""

import math
import statistics

from dcgan_tf.common import checkpoints
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_toml
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import is_number
from dcgan_tf.common.images import evenly
from dcgan_tf.metrics import collapse
from dcgan_tf.report.run_files import Files, as_text

LOSSES = ("d_loss", "g_loss", "d_real", "d_fake")
GUESSING = {"hinge": 1.0}  # d_loss of a D that only guesses; else ln 2, as in models/losses.py
EPOCHS = 2000  # most in the curves of a page, evenly chosen

_EPOCH = ("epoch", "step", "images_seen", *LOSSES)
_PIXELS = ("diversity", "roughness")  # missing in older runs
_TIMING = ("epoch", "seconds", "images_per_second")
_MEMORY = "peak_memory_mb"


def curves(files: Files, config: Config | None, most: int, copies: bool) -> dict:
    """Read the curves of a run, of at most `most` epochs, and judge the training by them.

    Args:
        copies: whether copies of training images were found.

    Returns:
        Columns of metrics.jsonl, timing.jsonl and the finer curve of the checkpoint, warnings,
        changes of settings, and the verdict.
    """
    history = files.epochs(files.run.metrics, _EPOCH, _PIXELS)
    timing = files.epochs(files.run.timing, _TIMING, (_MEMORY,))
    for name, records in (("metrics.jsonl", history), ("timing.jsonl", timing)):
        if len(records) > most:
            files.notes.append(f"{name}: {most:,} of {len(records):,} epochs are shown")
    changes = _changes(files)
    certainty = collapse.certainty_of(config or Config())
    return {
        "epochs": _columns(evenly(history, most), (*_EPOCH, *_PIXELS)),
        "steps": _steps(files, history),
        "timing": _columns(evenly(timing, most), ("epoch", "images_per_second", _MEMORY)),
        "speed": _speed(timing),
        "guessing": GUESSING.get(config.loss, math.log(2)) if config else math.log(2),
        "troubles": [
            {"what": kind, "epoch": epoch, "text": collapse.warning(kind, history, epoch)}
            for kind, epoch in collapse.troubles(history, certainty).items()
        ],
        "changes": [{"what": _in_words(change), "epoch": change["epoch"]} for change in changes],
        "verdict": verdict(history, certainty, copies) if history else None,
    }


def verdict(history: list[dict], certainty: float, copies: bool) -> dict:
    """Judge a training by its newest epochs, at least one; arguments as for `collapse.troubles`.

    Returns:
        `kind` ("short", a kind of trouble, "copies" or "fine"), `title`, `text` and `advice`.
    """
    last = history[-1]
    now = collapse.troubles(history[-1:], certainty)  # past ones are only marked in the curves
    recent = collapse.troubles(history[-collapse.SATURATED_EPOCHS :], certainty)
    now |= {kind: epoch for kind, epoch in recent.items() if kind == "saturated D"}
    if last["step"] < collapse.STARTING_STEPS:
        kind, title = "short", "too short to judge"
        text = f"{last['step']:,} steps are done; images take shape after about 1,000"
        advice = "train longer"
    elif now:
        kind, epoch = next(iter(now.items()))
        title, _, text = collapse.warning(kind, history, epoch).partition(": ")
        text, _, advice = text.partition("; ")
    elif copies:
        kind, title = "copies", "copies of training images"
        text = "samples are nearer to training images than chance allows"
        advice = "use more images or an earlier checkpoint; --augment slows memorization"
    else:
        kind, title = "fine", "no sign of trouble"
        text = f"D(x) is {last['d_real']:.2f} on real and {last['d_fake']:.2f} on generated images"
        if "diversity" in last:
            text += f"; the samples vary {last['diversity']:.2f} times as much as real images"
        advice = "compare the samples with the real images; losses do not measure image quality"
    texts = {"title": title, "text": text, "advice": advice}
    return {"kind": kind} | {name: f"{text[0].upper()}{text[1:]}." for name, text in texts.items()}


def _columns(records, names):
    return {name: [record.get(name) for record in records] for name in names}


def _steps(files, history):
    """The losses within the epochs, from the newest checkpoint; {} without it."""
    batch = next((r["images_seen"] / r["step"] for r in history if r["step"]), None)
    curve = checkpoints.read_journal(files.run).get("curve")
    points = curve.get("points") if isinstance(curve, dict) else None
    if not batch or not isinstance(points, list):
        return {}
    good = [p for p in points if isinstance(p, list) and len(p) == 5 and all(map(is_number, p))]
    rows = [dict(zip(LOSSES, p[1:], strict=True), images_seen=p[0] * batch) for p in good]
    return _columns(rows, ("images_seen", *LOSSES))


def _speed(timing):
    if not timing:
        return {}
    return {
        "images_per_second": statistics.median(r["images_per_second"] for r in timing),
        "seconds": sum(record["seconds"] for record in timing),
        _MEMORY: max((r[_MEMORY] for r in timing if _MEMORY in r), default=None),
    }


def _changes(files):
    try:
        tables = read_toml(files.run.config).get("changes")
    except (UserError, OSError):  # contents.py notes it
        return []
    tables = [t for t in tables if isinstance(t, dict)] if isinstance(tables, list) else []
    return [table for table in tables if is_number(table.get("epoch"))]


def _in_words(change):
    setting, old, new = (as_text(change.get(name)) for name in ("setting", "old", "new"))
    return f"{setting} {old} → {new}"
