"""Curves of a report page: losses, D(x), speed, and the marks in them."""

import math
import statistics
import tomllib

from dcgan_tf.common import checkpoints
from dcgan_tf.common.config import Config
from dcgan_tf.common.foreign import is_number
from dcgan_tf.common.images import evenly
from dcgan_tf.metrics import collapse
from dcgan_tf.report.run_files import Files, as_text, numbers

LOSSES = ("d_loss", "g_loss", "d_real", "d_fake")
GUESSING = {"hinge": 1.0}  # d_loss of a D that only guesses; else ln 2, as in models/losses.py
EPOCHS = 2000  # of the curves on one page; of more an even choice
MARKS = 100  # changes of settings in a curve

_PIXELS = ("diversity", "roughness")  # which older runs do not have

_epoch = numbers(("epoch", "step", "images_seen", *LOSSES), _PIXELS)
_timing = numbers(("epoch", "seconds", "images_per_second"), ("peak_memory_mb",))


def curves(files: Files, config, most: int) -> dict:
    """The curves of a run.

    Args:
        config: config.Config, or None where it cannot be read; most: epochs that are shown.

    Returns:
        dict: `epochs`, the columns of metrics.jsonl; `steps`, finer columns from the checkpoint;
        `timing`, the columns of timing.jsonl; `speed`, in words; `guessing`; `troubles` and
        `changes`, the marks.
    """
    history = _by_epoch(files.lines(files.run.metrics, _epoch))
    timing = _by_epoch(files.lines(files.run.timing, _timing))
    for name, records in (("metrics.jsonl", history), ("timing.jsonl", timing)):
        if len(records) > most:
            files.notes.append(f"{name}: {most:,} of {len(records):,} epochs are shown")
    return {
        "epochs": columns(evenly(history, most), ("epoch", "step", "images_seen", *LOSSES))
        | {name: [record.get(name) for record in evenly(history, most)] for name in _PIXELS},
        "steps": _steps(files, history),
        "timing": columns(evenly(timing, most), ("epoch", "seconds", "images_per_second"))
        | {"peak_memory_mb": [record.get("peak_memory_mb") for record in evenly(timing, most)]},
        "speed": _speed(timing),
        "guessing": GUESSING.get(config.loss if config else None, math.log(2)),
        "troubles": _troubles(files, history, config),
        "changes": _marks(files),
    }


def _by_epoch(records):
    """list: one record an epoch, the last one that says so, in their order."""
    found = {record["epoch"]: record for record in records}
    return [found[epoch] for epoch in sorted(found)]


def columns(records, names):
    """dict of lists: the values of each name."""
    return {name: [record[name] for record in records] for name in names}


def _steps(files, history):
    """dict: the course within the epochs, which the newest checkpoint has; {} without it."""
    batch = next((r["images_seen"] / r["step"] for r in history if r["step"]), None)
    curve = checkpoints.read_journal(files.run).get("curve")
    points = curve.get("points") if isinstance(curve, dict) else None
    if not batch or not isinstance(points, list):
        return {}
    good = [p for p in points if isinstance(p, list) and len(p) == 5 and all(map(is_number, p))]
    return {"images_seen": [step * batch for step, *_ in good]} | {
        name: [point[place] for point in good] for place, name in enumerate(LOSSES, start=1)
    }


def _speed(timing):
    """dict: the median speed, the time of all epochs and the most memory; {} without any."""
    if not timing:
        return {}
    memory = [r["peak_memory_mb"] for r in timing if r.get("peak_memory_mb") is not None]
    return {
        "images_per_second": statistics.median(r["images_per_second"] for r in timing),
        "seconds": sum(record["seconds"] for record in timing),
        "peak_memory_mb": max(memory, default=None),
    }


def _troubles(files, history, config):
    """list of dict: the warnings of the training, found again in its history."""
    certainty = collapse.certainty_at(config or Config(), _changed_targets(files))
    return [
        {"what": kind, "epoch": epoch, "text": collapse.warning(kind, history, epoch)}
        for kind, epoch in collapse.troubles(history, certainty).items()
    ]


def _changed_targets(files):
    """list of (step, epoch, setting, old, new) of the changes of D's targets."""
    names = ("step", "epoch", "setting", "old", "new")
    return [
        tuple(table[name] for name in names)
        for table in _changes(files)
        if table.get("setting") in ("label_smoothing", "label_noise")
        and all(is_number(table.get(name)) for name in ("step", "epoch", "old", "new"))
    ]


def _marks(files):
    """list of dict: the settings that changed midway, as the curves are marked with them."""
    return [
        {
            "what": f"{as_text(table.get('setting'))} {as_text(table.get('old'))} → "
            f"{as_text(table.get('new'))}",
            "epoch": table["epoch"],
        }
        for table in _changes(files)[:MARKS]
        if is_number(table.get("epoch"))
    ]


def _changes(files):
    """list of dict: the tables of these changes, as config.toml has them."""
    try:
        text = (files.content(files.run.config) or b"").decode("utf-8-sig")
        tables = tomllib.loads(text.replace("\r\n", "\n")).get("changes", [])
    except (ValueError, RecursionError):  # settings.py says so
        return []
    return [t for t in tables if isinstance(t, dict)] if isinstance(tables, list) else []
