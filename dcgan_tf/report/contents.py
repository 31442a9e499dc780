"""The contents of a report page as a JSON-serializable dict."""

import re

from dcgan_tf.common import limits
from dcgan_tf.common.foreign import is_count, is_number
from dcgan_tf.common.log import printable
from dcgan_tf.common.runs import Run, sample_files
from dcgan_tf.common.scores import (
    FRECHET_NAMES,
    LABELS,
    frechet_name,
    is_verdict,
    parse_record,
    title,
)
from dcgan_tf.common.suggestions import path_flag, typed
from dcgan_tf.report.curves import EPOCHS, curves
from dcgan_tf.report.run_files import Files, as_text
from dcgan_tf.report.settings import REFERENCE, read_settings, settings
from dcgan_tf.report.thumbnails import one_picture, sample_pictures

SCORES, WARNINGS, NOTES = 400, 30, 30  # on one page; there is seldom a tenth of it
LOG_BYTES = 2**23  # of a log.txt, which has 100 bytes an epoch
PICTURES = 0.06  # share of a run's room for each of the pictures beside the samples


def contents(run: Run, runs: int) -> tuple[Files, dict]:
    """What a run's files say, without the pictures.

    Args:
        runs: how many share the page.

    Returns:
        Files, with the notes so far, and the dict for the page.
    """
    files = Files(run)
    versions = files.json(run.versions)
    config = read_settings(files)
    drawn = curves(files, config, EPOCHS // runs)
    found = {
        "name": printable(run.root.resolve().name),
        "folder": printable(run.root.resolve()),
        **drawn,
        "settings": settings(files, config, versions),
        "scores": _scores(files, SCORES // runs),
        "best": _best(files),
        "memorisation": _memorisation(files),
        "versions": [[str(name), as_text(value)] for name, value in list(versions.items())[:50]],
        "warnings": _warnings(files),
    }
    epochs = drawn["epochs"]["epoch"]
    done = epochs[-1] if epochs else 0
    return files, found | {
        "planned": config.epochs if config else None,
        "commands": _commands(run, done, config, found),
        "missing": _missing(run, config),
    }


def add_pictures(files: Files, found: dict, room: int):
    """Put the pictures of a run into its dict, and its notes, which are complete then.

    Args:
        room: bytes for them in the page.
    """
    run, own = files.run, int(room * PICTURES)
    found["reals"] = one_picture(files, run.reals, own)
    found["pairs"] = one_picture(files, run.memorisation_pairs, 2 * own)
    used = sum(len(found[name]["src"]) for name in ("reals", "pairs") if found[name])
    best = found["best"]["epoch"] if found["best"] else None
    found["samples"] = sample_pictures(files, sample_files(run.samples), best, room - used)
    more = len(files.notes) - NOTES
    found["notes"] = files.notes[:NOTES] + ([f"and {more} more of this kind"] if more > 0 else [])


def _scores(files, most):
    """list of dict: the newest records of evaluation.jsonl, with what the page shows of each."""
    records = files.lines(files.run.evaluation, parse_record)
    if len(records) > most:
        files.notes.append(f"evaluation.jsonl: the last {most} of {len(records)} scores are shown")
    return [_score(record) for record in records[-most:]]


def _score(record):
    floor = record.get("floor") or {}
    notes = record.get("notes")
    return {
        "title": as_text(title(record)),
        "epoch": record.get("epoch"),
        "scored": as_text(record.get("scored")),
        "against": as_text(record.get("compared_with")),
        "name": frechet_name(record),
        "values": {name: record.get(name) for name in (*LABELS, "kid_std")},
        "floor": {name: floor.get(name) for name in (*LABELS, "kid_std")},
        "floor_of": as_text(record.get("floor_of") or f"none: {record.get('floor_reason')}"),
        "notes": [as_text(note) for note in notes[:10]] if isinstance(notes, list) else [],
        "stamp": [[as_text(name), as_text(value)] for name, value in record["protocol"].items()],
        "record": record,  # until the page has grouped those that compare
    }


def _best(files):
    """dict | None: epoch and score of best/generator.keras, as the file beside it says."""
    record = files.json(files.run.best_score)
    name = next((n for n in FRECHET_NAMES.values() if is_number(record.get(n))), None)
    if not name or not is_count(record.get("epoch")):
        return None
    return {"epoch": record["epoch"], "name": LABELS[name], "value": record[name]}


def _memorisation(files):
    """dict: the verdict and its numbers; {} without them."""
    record = files.json(files.run.memorisation)
    if record and not is_verdict(record):
        return files.note(files.run.memorisation, "no verdict of ours, left out") or {}
    texts = ("verdict", "training", "held_out", "layer")
    counts = ("copies", "allowed", "samples", "epoch")
    return {name: as_text(record[name]) for name in texts if name in record} | {
        name: record[name] for name in counts if is_number(record.get(name))
    }


def _warnings(files):
    """list of str: the last different warnings in log.txt, each once."""
    text = (files.content(files.run.log, LOG_BYTES) or b"").decode("utf-8", "replace")
    found = re.findall(r"^\S+ \S+ warning: (.*)$", text, re.MULTILINE)
    return [limits.shorten(line, 300) for line in dict.fromkeys(found)][-WARNINGS:]


def _commands(run, done, config, found):
    """list of [what for, command]: how to go on."""
    named, train, generate = path_flag("--run", run.root), typed("train"), typed("generate")
    planned = config.epochs if config else 0
    more = f" --epochs {2 * done}" if done and done >= planned else ""
    recipe = path_flag("--config", found["settings"].get("config", REFERENCE))
    same = " ".join([recipe, *_pictures(config, found["settings"])])
    commands = [
        ["Train for twice as long" if more else "Go on training", f"{train} {named}{more}"],
        ["Draw 64 pictures", f"{generate} {named} --n 64"],
        ["Walk from seed to seed", f"{generate} {named} --interpolate 3,17,42"],
    ]
    if found["best"]:
        best = path_flag("--model", run.best_generator)
        commands.append(["Draw with the best generator", f"{generate} {best} --n 64"])
    return [
        *commands,
        ["Score it", f"{typed('evaluate')} {named}"],
        ["Look for copied training pictures", f"{typed('evaluate')} {named} --memorisation"],
        [
            "Start a new run from these networks",
            f"{train} {same} {path_flag('--init-from', run.root)}",
        ],
        ["Write this page again", f"python -m dcgan_tf.report {named}"],
    ]


def _pictures(config, told):
    """list of str: the flags for the same pictures, where the recipe has others."""
    rows = [row for group in told.get("groups", []) for row in group["rows"]]
    other = {row["name"] for row in rows if row["recipe"] is not None}
    names = [name for name in ("dataset", "data", "subset") if name in other]
    return [path_flag(f"--{name}", getattr(config, name)) for name in names]


def _missing(run, config):
    """dict: what the page lacks, and the line that says how to get it."""
    named, evaluate = path_flag("--run", run.root), typed("evaluate")
    every = config.sample_every if config else 1
    return {
        "epochs": "No curves yet: metrics.jsonl is written after the first epoch.",
        "samples": f"No samples yet: the first grid is written after epoch {every}.",
        "scores": f"No scores yet. Get them with: {evaluate} {named}",
        "memorisation": f"Not looked for yet. Do it with: {evaluate} {named} --memorisation",
        "timing": "No times: timing.jsonl is written after each epoch.",
        "versions": "No versions: versions.json is written when a training begins.",
        "settings": "The settings are not known: config.toml is missing or damaged.",
    }
