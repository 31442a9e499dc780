"""Differing settings and the results of several runs, as a table and a plot."""

import logging
from itertools import groupby
from pathlib import Path

from dcgan_tf.common.log import printable
from dcgan_tf.common.plots import figure, label
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, cell, mismatch
from dcgan_tf.compare.command import MARK
from dcgan_tf.report.contents import contents
from dcgan_tf.report.page import compared, tell_apart

log = logging.getLogger(__name__)

ACROSS = 6  # runs that stand side by side; more stand one below the other
WIDTH = 28  # characters of a name or a value
NONE = "-"
COLORS = 10  # of Matplotlib's default cycle; then the lines are dotted, then dashed
STYLES = ("-", ":", "--", "-.")
TRAINING = {  # columns of a run's epochs, of which the last value is shown
    "epochs": ("epoch", ","),
    "images seen": ("images_seen", ","),
    "d_loss, last epoch": ("d_loss", ".3f"),
    "g_loss, last epoch": ("g_loss", ".3f"),
    "pixel variation, last epoch": ("diversity", ".2f"),
}


def compare(runs: tuple[Run, ...], out: Path):
    """Print the table, draw the plot, and say what could not be read."""
    read = [contents(run, 1) for run in runs]
    shown = [found for _, found in read]
    tell_apart(shown)
    groups = _scores_by_run(shown)
    log.info(_table(shown, groups))
    for files, found in read:
        for note in files.notes:
            log.warning(f"{found['name']}: {note}")
    _draw(shown, groups[0] if groups else {}, out)
    log.info(f"plot: {out}")


def _scores_by_run(shown):
    """For each group of scores that compare, {place of the run: its scores}, by epoch.

    Groups of several runs come first, the newest of them at the top.
    """
    groups = [
        {
            run: [shown[run]["scores"][place] for _, place in places]
            for run, places in groupby(members, key=lambda member: member[0])
        }
        for members in compared(shown)
    ]
    return sorted(groups, key=len, reverse=True)


def _table(shown, groups):
    """The runs side by side, or one below the other where there are many."""
    rows = [["", *(_shorten(found["name"], end=True) for found in shown)]]
    rows += _settings(shown)
    rows += _training(shown)
    notes, first = [], None
    for number, scores in enumerate(groups, start=1):
        some = next(iter(scores.values()))[0]
        first = first or some
        mark = f" ({number})" if len(groups) > 1 else ""
        rows += _score_rows(scores, len(shown), some["name"], mark)
        notes.append(_explain_scores(some, mark, first))
    rows = [[_shorten(text) for text in row] for row in rows]
    if len(shown) > ACROSS:
        rows = [list(column) for column in zip(*rows, strict=True)]
    return printable("\n".join([_align(rows), *notes]))


def _settings(shown):
    """The settings in which the runs differ."""
    values = [
        {
            row["name"]: row["value"]
            for group in found["settings"].get("groups", [])
            for row in group["rows"]
        }
        for found in shown
    ]
    names = dict.fromkeys(name for own in values for name in own)
    rows = [[name, *(own.get(name, NONE) or '""' for own in values)] for name in names]
    return [row for row in rows if len(set(row[1:])) > 1]


def _training(shown):
    """How far each run came, its last losses, its speed."""
    rows = [
        [title, *(_number((found["epochs"].get(name) or [None])[-1], form) for found in shown)]
        for title, (name, form) in TRAINING.items()
    ]
    speeds = [found["speed"] for found in shown]
    minutes = [speed["seconds"] / 60 if speed else None for speed in speeds]
    return [
        *rows,
        ["images a second", *(_number(own.get("images_per_second"), ",.0f") for own in speeds)],
        ["minutes", *(_number(value, ",.1f") for value in minutes)],
    ]


def _number(value, form):
    return NONE if value is None else format(value, form)


def _score_rows(scores, count, name, mark):
    """The newest distance of each run, and the score with its lowest one."""
    best = {run: min(own, key=lambda score: score["values"][name]) for run, own in scores.items()}
    newest = {run: own[-1] for run, own in scores.items()}

    def row(head, chosen, text):
        cells = (text(chosen[run]) if run in chosen else NONE for run in range(count))
        return [head + mark, *cells]

    return [
        row(f"{LABELS[name]}, newest", newest, lambda score: cell(score["values"], name)),
        row(f"{LABELS[name]}, lowest", best, lambda score: cell(score["values"], name)),
        row("its epoch", best, lambda score: str(score["epoch"] or NONE)),
        *(
            row(f"its {LABELS[other]}", best, lambda score, n=other: cell(score["values"], n))
            for other in LABELS
            if other != name and any(s["values"].get(other) is not None for s in best.values())
        ),
    ]


def _explain_scores(score, mark, first):
    """The reference set and baseline of a group, and why it does not compare with the first."""
    name = score["name"]
    baseline = cell(score["floor"], name)
    text = f"scores{mark}: against {score['against']}"
    if baseline != NONE:
        text += f"; real images against real ones: {LABELS[name]} {baseline}"
    why = mismatch({"protocol": dict(first["stamp"])}, {"protocol": dict(score["stamp"])})
    return text + (f"; not comparable with (1): {why}" if why else "")


def _shorten(text, end=False):
    """At most WIDTH characters; of the names of a sweep the end, in which they differ."""
    if len(text) <= WIDTH:
        return text
    return "..." + text[3 - WIDTH :] if end else text[: WIDTH - 3] + "..."


def _align(rows):
    """Columns as wide as they need be, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def _draw(shown, scores, out):
    """Draw the losses, and below them the scores of one group that compares.

    Where there are none, or none has a known number of images, D's outputs are drawn instead. The
    PNG is marked, so that the next plot may take its place.
    """
    placed = {run: _place(shown[run]["epochs"], own) for run, own in scores.items()}
    score = next(iter(scores.values()))[0] if any(placed.values()) else None
    with figure(out, "d_loss bold, g_loss pale", "images seen", MARK) as (losses, below):
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
    """(images seen, distance) of each score at an epoch of which the run knows the images."""
    images = dict(zip(epochs["epoch"], epochs["images_seen"], strict=True))
    return sorted(
        (images[s["epoch"]], s["values"][s["name"]]) for s in scores if s["epoch"] in images
    )


def _label_axes(losses, below, score):
    """Label the axes, and draw the line that the lower curves are read against."""
    from matplotlib.ticker import EngFormatter

    gray = {"color": "gray", "linestyle": ":"}
    losses.set(ylabel="loss", xlim=(0, None))
    losses.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 1M
    if not score:
        below.axhline(0, label="D cannot tell", **gray)
        below.set(ylabel="D(real) - D(fake)")
        return
    if (baseline := score["floor"].get(score["name"])) is not None:
        below.axhline(baseline, label="real against\nreal", **gray)
    below.set(ylabel=f"{LABELS[score['name']]}\n(lower is better)")
    below.set_ylim(bottom=0)
