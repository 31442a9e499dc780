"""The contents of a report page as a JSON-serializable dict."""

import re
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.config import FIELDS, Config, ImageConfig, groups
from dcgan_tf.common.config_file import find_config, names, read_config, read_table, recipe_of
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import from_here
from dcgan_tf.common.foreign import is_count, is_number
from dcgan_tf.common.log import printable
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import (
    FRECHET_NAMES,
    LABELS,
    NUMBERS,
    frechet_name,
    is_verdict,
    parse_record,
    title,
)
from dcgan_tf.common.suggestions import path_flag, quoted, typed
from dcgan_tf.report.curves import EPOCHS, curves
from dcgan_tf.report.run_files import Files, as_text

SCORES, WARNINGS = 400, 30  # most on a page for each run, the newest
REFERENCE = "celeba"  # the recipe of a command without --config


def contents(run: Run, runs: int) -> tuple[Files, dict]:
    """Read a run's files into a dict for a page of `runs` runs, without the images."""
    files = Files(run)
    config, versions = _read_config(files), files.json(run.versions)
    copies = _memorization(files)
    drawn = curves(files, config, EPOCHS // runs, copies.get("verdict") == "copies")
    best = _best(files)
    done = max(drawn["epochs"]["epoch"], default=0)
    each = max(drawn["epochs"]["images_seen"], default=0) // max(done, 1)
    planned = config.epochs_of(each or config.images) if config else 0
    return files, drawn | {
        "name": printable(run.root.resolve().name),
        "folder": printable(from_here(run.root)),
        "planned": planned or None,
        "command": _as_typed(versions.get("command")),
        "settings": _settings(files, config, versions) if config else {},
        "scores": [_score(r) for r in files.lines(run.evaluation, parse_record)[-SCORES:]],
        "best": best,
        "memorisation": copies,
        "versions": [[str(name), as_text(value)] for name, value in list(versions.items())[:50]],
        "warnings": _warnings(files),
        **_next_steps(run, done, planned, best, config),
    }


def _read_config(files) -> Config | None:
    try:
        return read_config(files.run.config)
    except (UserError, OSError) as error:
        files.notes.append(f"the settings cannot be read: {error}")
        return None


def _as_typed(command):
    """The recorded command for a shell; "" if it is invalid."""
    words = command if isinstance(command, list) else []
    if not words or not all(isinstance(word, str) for word in words):
        return ""
    program = Path(words[0])
    start = [program.name]  # installed: without its folder
    if program.name == "__main__.py":
        start = ["python", "-m", ".".join(dict.fromkeys(["dcgan_tf", program.parent.name]))]
    elif program.suffix == ".py":
        start = ["python", words[0]]
    return as_text(quoted([*start, *words[1:]]))


def _settings(files, config, versions):
    """The settings in groups, each with the recipe's value, or None if it is the same."""
    named, base = recipe_of(versions, REFERENCE), Config()
    begun = Path(str(versions.get("directory") or ""))
    try:
        places = [begun / named] + [begun / f"{named}.toml"] * (named not in names())
        own = [place for place in places if place.is_file()]
        # ImageConfig, because a recipe may be valid only with the command's own settings.
        if named != "folder":  # of a training without a recipe
            base = ImageConfig(**read_table(own[0] if own else find_config(named)))
    except (UserError, OSError) as error:
        why = f"the recipe {named} was not found ({error})"
        files.notes.append(f"{why}, so the settings are compared with the defaults")
        named = f"{REFERENCE}, the defaults"

    def row(name):
        own, other = (_in_words(getattr(one, name)) for one in (config, base))
        words = {"name": name, "help": FIELDS[name].metadata["help"]}
        return words | {"value": own, "recipe": None if own == other else other}

    listed = [{"heading": head, "rows": list(map(row, names))} for head, names in groups().items()]
    return {"recipe": named, "groups": listed}


def _in_words(value):
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _score(record):
    floor, notes = record.get("floor") or {}, record.get("notes")
    return {
        "title": as_text(title(record)),
        "epoch": record.get("epoch"),
        "against": as_text(record.get("compared_with")),
        "name": frechet_name(record),
        "values": {name: record.get(name) for name in NUMBERS},
        "floor": {name: floor.get(name) for name in NUMBERS},
        "floor_of": as_text(record.get("floor_of") or f"none: {record.get('floor_reason')}"),
        "notes": [as_text(note) for note in notes[:10]] if isinstance(notes, list) else [],
        "stamp": [[as_text(name), as_text(value)] for name, value in record["protocol"].items()],
        "record": record,  # removed once the page has grouped comparable scores
    }


def _best(files):
    record = files.json(files.run.best_score)
    name = next((n for n in FRECHET_NAMES.values() if is_number(record.get(n))), None)
    if not name or not is_count(record.get("epoch")):
        return None
    return {"epoch": record["epoch"], "name": LABELS[name], "value": record[name]}


def _memorization(files):
    record = files.json(files.run.memorisation)
    if record and not is_verdict(record):
        files.note(files.run.memorisation, "not a verdict of evaluate, left out")
        return {}
    texts, counts = ("verdict", "training", "held_out"), ("copies", "allowed", "samples", "epoch")
    return {name: as_text(record[name]) for name in texts if name in record} | {
        name: record[name] for name in counts if is_number(record.get(name))
    }


def _warnings(files):
    text = (files.content(files.run.log) or b"").decode("utf-8", "replace")
    found = re.findall(r"^\S+ \S+ warning: (.*)$", text, re.MULTILINE)
    return [limits.shorten(line, 300) for line in dict.fromkeys(found)][-WARNINGS:]


def _next_steps(run, done, planned, best, config):
    """`commands`, pairs [purpose, command], and how to get each `missing` part."""
    named, train, generate = path_flag("--run", run.root), typed("train"), typed("generate")
    evaluate = f"{typed('evaluate')} {named}"
    search = f"{evaluate} --memorization"  # needs images that were not trained on
    search += " --data OTHERS" if config and not config.subset else ""
    more = f" --epochs {2 * done}" if done and done >= planned else ""
    model = path_flag("--model", run.best_generator)
    start = f"{path_flag('--config', run.config)} {path_flag('--init-from', run.root)}"
    commands = [
        ["Train twice as long" if more else "Resume the training", f"{train} {named}{more}"],
        ["Generate 64 images", f"{generate} {named} --n 64"],
        ["Interpolate between seeds", f"{generate} {named} --interpolate 3,17,42"],
        *([["Generate with the best generator", f"{generate} {model} --n 64"]] if best else []),
        ["Explore the latent space", f"{typed('explore')} {named}"],
        ["Score it", evaluate],
        ["Search for copies of training images", search],
        ["Start a new run from these networks", f"{train} {start}"],
        ["Write this page again", f"{typed('report')} {named}"],
    ]
    first = config.sample_every if config else 1
    missing = {
        "samples": f"No samples yet: the first grid is written after epoch {first}.",
        "scores": f"No scores yet. To get them: {evaluate}",
        "memorisation": f"Not searched yet. To search: {search}",
    }
    return {"commands": commands, "missing": missing}
