"""Differing settings and the results of several runs, as a table and a plot.

Runs that differ in `seed` alone are one column: mean ± sample standard deviation, and their number.
"""

import csv
import io
import json
import logging
import re
import statistics
from itertools import groupby
from pathlib import Path

from dcgan_tf.common.log import printable
from dcgan_tf.common.pages import identify_runs
from dcgan_tf.common.plots import figure, label
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, cell, mismatch
from dcgan_tf.compare.command import MARK
from dcgan_tf.report.contents import contents
from dcgan_tf.report.page import compared, tell_apart

log = logging.getLogger(__name__)

ACROSS = 6  # most columns side by side; more are stacked
WIDTH = 28  # characters of a name or a value
NONE = "-"
COLORS = 10  # of Matplotlib's default cycle; then dotted lines, then dashed ones
STYLES = ("-", ":", "--", "-.")
TRAINING = {  # columns of a run's epochs, of which the last value is shown
    "epochs": ("epoch", ",.0f"),
    "images seen": ("images_seen", ",.0f"),
    "d_loss, last epoch": ("d_loss", ".3f"),
    "g_loss, last epoch": ("g_loss", ".3f"),
    "pixel variation, last epoch": ("diversity", ".2f"),
}


def compare(runs: tuple[Run, ...], out: Path, form: str = "text"):
    """Print the table, draw the plot, and warn about unreadable files."""
    read = [contents(run, 1) for run in runs]
    shown = [found for _, found in read]
    tell_apart(shown)
    scores = _scores_by_run(shown)
    rows, notes = [*_settings(shown), *_training(shown)], []
    for number, group in enumerate(scores, start=1):
        mark = f" ({number})" if len(scores) > 1 else ""
        some, first = (next(iter(one.values()))[0] for one in (group, scores[0]))
        rows += _score_rows(group, len(shown), some["name"], mark)
        notes.append(_explain_scores(some, mark, first))
    table, records = _group(shown, rows)
    for own in (record["runs"] for record in records if record["n"] > 1):
        notes.append(f"{own[0]}: mean ± standard deviation of {', '.join(own)}")
    if form == "text":
        log.info("\n".join([_text(table), *notes]))
    else:
        print(_format(table, records, form))
        for note in notes:
            log.info(note)
    for files, found in read:
        for note in files.notes:
            log.warning(f"{found['name']}: {note}")
    text = MARK | {"runs": identify_runs(runs)}
    _draw(shown, scores[0] if scores else {}, out, text)
    log.info(f"plot: {out}")


def _scores_by_run(shown):
    """For each group of comparable scores, {place of the run: its scores}, largest first."""
    groups = [
        {
            run: [shown[run]["scores"][place] for _, place in places]
            for run, places in groupby(members, key=lambda member: member[0])
        }
        for members in compared(shown)
    ]
    return sorted(groups, key=len, reverse=True)


def _settings(shown):
    """Rows (head, value of each run, format of a number) of the settings that differ."""
    values = [_settings_of(found) for found in shown]
    names = dict.fromkeys(name for own in values for name in own)
    rows = [(name, [own.get(name, NONE) or '""' for own in values], "") for name in names]
    return [
        (f"{name} planned" if name in TRAINING else name, own, form)
        for name, own, form in rows
        if len(set(own)) > 1
    ]


def _settings_of(found):
    groups = found["settings"].get("groups", [])
    return {row["name"]: row["value"] for group in groups for row in group["rows"]}


def _training(shown):
    rows = [
        (title, [(found["epochs"].get(name) or [None])[-1] for found in shown], form)
        for title, (name, form) in TRAINING.items()
    ]
    speeds = [found["speed"] for found in shown]
    minutes = [speed["seconds"] / 60 if speed else None for speed in speeds]
    rates = [speed.get("images_per_second") for speed in speeds]
    return [*rows, ("images a second", rates, ",.0f"), ("minutes", minutes, ",.1f")]


def _score_rows(scores, count, name, mark):
    """Rows for each run's newest and lowest distance, and the other scores of the lowest."""
    best = {run: min(own, key=lambda score: score["values"][name]) for run, own in scores.items()}
    newest = {run: own[-1] for run, own in scores.items()}

    def row(head, chosen, key):
        values = [chosen[run]["values"].get(key) if run in chosen else None for run in range(count)]
        return f"{head}{mark}", values, key

    others = [row(f"its {LABELS[other]}", best, other) for other in LABELS if other != name]
    epochs = [best[run]["epoch"] if run in best else None for run in range(count)]
    return [
        row(f"{LABELS[name]}, newest", newest, name),
        row(f"{LABELS[name]}, lowest", best, name),
        (f"its epoch{mark}", epochs, ",.0f"),
        *(other for other in others if any(value is not None for value in other[1])),
    ]


def _explain_scores(score, mark, first):
    """Describe the reference set and baseline of a group, and how it differs from the first."""
    name = score["name"]
    text = f"scores{mark}: reference set {score['against']}"
    if (baseline := cell(score["floor"], name)) != NONE:
        text += f"; baseline, real vs. real: {LABELS[name]} {baseline}"
    why = mismatch({"protocol": dict(first["stamp"])}, {"protocol": dict(score["stamp"])})
    return text + (f"; not comparable with (1): {why}" if why else "")


def _group(shown, rows):
    """Make the table, with one column for runs that differ in seed alone, and its records."""
    columns: list[tuple[dict, dict]] = []  # settings without the seed, {seed: place of the run}
    for place, found in enumerate(shown):
        settings = _settings_of(found)
        seed = settings.pop("seed", None)
        fits = (runs for known, runs in columns if known == settings and seed not in runs)
        runs = next(fits, {}) if settings else {}  # unreadable settings match no others
        if not runs:
            columns.append((settings, runs))
        runs[seed] = place
    groups = [list(runs.values()) for _, runs in columns]
    names = [[shown[place]["name"] for place in places] for places in groups]
    table = [["", *(own[0] for own in names)]]
    if len(names) < len(shown):
        table += [["n", *(str(len(own)) for own in names)]]
    records: list[dict] = [{"name": own[0], "runs": own, "n": len(own)} for own in names]
    for head, values, form in rows:
        cells = [_cell(head, [values[place] for place in places], form) for places in groups]
        table.append([head, *(text for text, _ in cells)])
        for record, (_, entries) in zip(records, cells, strict=True):
            record |= entries
    return table, records


def _cell(head, values, form):
    """Write the values of one column's runs as text and as entries of a record."""
    known = [value for value in values if value is not None]
    if not known or isinstance(known[0], str):
        text = ", ".join(dict.fromkeys(known))
        return text or NONE, {head: text or None}

    def show(number):
        return cell({form: number}, form) if form in LABELS else format(number, form)

    few = f" (n = {len(known)})" if len(known) < len(values) else ""
    if len(set(known)) == 1:
        return show(known[0]) + few, {head: known[0]}
    mean, spread = statistics.fmean(known), statistics.stdev(known)
    entries = {head: mean, f"{head} sd": spread, f"{head} n": len(known)}
    return f"{show(mean)} ± {show(spread)}{few}", entries


def _text(table):
    """Align the columns side by side, or stack them if there are many."""
    rows = [[_shorten(text, end=not number) for text in row] for number, row in enumerate(table)]
    if len(table[0]) > ACROSS + 1:
        rows = list(zip(*rows, strict=True))
    first, *widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join([f"{{:<{first}}}", *(f"{{:>{width}}}" for width in widths)])
    return "\n".join(form.format(*row) for row in rows)


def _shorten(text, end=False):
    """Cut a text to WIDTH characters; of a run's name keep its number and its end."""
    if len(text) <= WIDTH:
        return text
    return f"{text[:5]}...{text[8 - WIDTH :]}" if end else text[: WIDTH - 3] + "..."


def _format(table, records, form):
    """Format the table as `form`, one line for each column of the text."""
    if form == "json":
        return json.dumps(records, indent=1)
    lines = [list(map(printable, column)) for column in zip(*table, strict=True)]
    if form == "csv":
        columns = list(dict.fromkeys(name for record in records for name in record))
        writer = csv.DictWriter(file := io.StringIO(), columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(record | {"runs": " ".join(record["runs"])} for record in records)
        return printable(file.getvalue().rstrip())
    if form == "md":
        rows = [[text.replace("|", "\\|") for text in line] for line in lines]
        rows.insert(1, ["---", *["---:"] * (len(table) - 1)])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    rows = [" & ".join(map(_latex, line)) + r" \\" for line in lines]
    begin = rf"\begin{{tabular}}{{l{'r' * (len(table) - 1)}}}"
    return "\n".join([begin, r"\hline", rows[0], r"\hline", *rows[1:], r"\hline", r"\end{tabular}"])


def _latex(text):
    words = {"\\": r"\textbackslash{}", "±": r"$\pm$", "~": r"\~{}", "^": r"\^{}"}
    return re.sub(r"[\\±~^&%$#_{}]", lambda match: words.get(match[0], "\\" + match[0]), text)


def _draw(shown, scores, out, text):
    """Draw the losses and, below them, one group's scores; without any, the outputs of D."""
    placed = {run: _place(shown[run]["epochs"], own) for run, own in scores.items()}
    score = next(iter(scores.values()))[0] if any(placed.values()) else None
    with figure(out, "d_loss bold, g_loss pale", "images seen", text) as (losses, below):
        for run, found in enumerate(shown):
            look = {"color": f"C{run % COLORS}", "linestyle": STYLES[run // COLORS % 4]}
            epochs = found["epochs"]
            images = epochs["images_seen"]
            mark = {"marker": "."} if len(images) < 30 else {}
            losses.plot(images, epochs["d_loss"], label=label(found["name"]), **look, **mark)
            losses.plot(images, epochs["g_loss"], alpha=0.35, **look, **mark)
            if not score:
                gap = [r - f for r, f in zip(epochs["d_real"], epochs["d_fake"], strict=True)]
                below.plot(images, gap, **look, **mark)
            elif own := placed.get(run):
                lowest = f"lowest {min(value for _, value in own):.3g}"
                below.plot(*zip(*own, strict=True), marker=".", label=lowest, **look)
        _label_axes(losses, below, score)


def _place(epochs, scores):
    """List (images seen, distance) for each score of a recorded epoch."""
    images = dict(zip(epochs["epoch"], epochs["images_seen"], strict=True))
    return sorted(
        (images[s["epoch"]], s["values"][s["name"]]) for s in scores if s["epoch"] in images
    )


def _label_axes(losses, below, score):
    from matplotlib.ticker import EngFormatter

    gray = {"color": "gray", "linestyle": ":"}
    losses.set(ylabel="loss", xlim=(0, None))
    losses.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 1M
    if not score:
        below.axhline(0, label="D only guesses", **gray)
        below.set(ylabel="D(real) - D(fake)")
        return
    if (baseline := score["floor"].get(score["name"])) is not None:
        below.axhline(baseline, label="baseline:\nreal vs. real", **gray)
    below.set(ylabel=f"{LABELS[score['name']]}\n(lower is better)")
    below.set_ylim(bottom=0)
