"""Common and differing settings of runs, and their results, as a table."""

import logging
from itertools import groupby
from pathlib import Path

from dcgan_tf.common.log import printable
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, cell, mismatch
from dcgan_tf.compare.plot import draw
from dcgan_tf.report.contents import contents
from dcgan_tf.report.page import compared, tell_apart

log = logging.getLogger(__name__)

ACROSS = 6  # runs that stand side by side; more stand one below the other
WIDTH = 28  # characters of a name or a value
NONE = "-"


def compare(runs: tuple[Run, ...], out: Path):
    """Print the table, draw the plot, and say what could not be read."""
    read = [contents(run, 1) for run in runs]
    shown = [found for _, found in read]
    tell_apart(shown)
    groups = _by_run(shown, compared(shown))
    log.info(table(shown, groups))
    for files, found in read:
        for note in files.notes:
            log.warning(f"{found['name']}: {note}")
    draw(shown, groups[0] if groups else {}, out)
    log.info(f"plot: {out}")


def _by_run(shown, groups):
    """list of {run: its scores}, by epoch, for each group that may be put side by side.

    Groups of several runs come first, the newest of them at the top.
    """
    found = []
    for members in groups:
        scores = {
            run: [shown[run]["scores"][place] for _, place in places]
            for run, places in groupby(members, key=lambda member: member[0])
        }
        found.append(scores)
    return sorted(found, key=len, reverse=True)


def table(shown: list[dict], groups: list[dict]) -> str:
    """The runs side by side, or one below the other where there are many.

    Args:
        shown: what report's `contents` says of each run.
        groups: of scores that compare, each {place of the run: its scores}.
    """
    rows = [["", *(_ending(found["name"]) for found in shown)]]
    rows += _settings(shown)
    rows += _training(shown)
    notes, first = [], None
    for number, scores in enumerate(groups, start=1):
        some = next(iter(scores.values()))[0]
        mark = f" ({number})" if len(groups) > 1 else ""
        rows += _scores(scores, len(shown), some["name"], mark)
        first = first or some
        notes.append(_explain(some, mark) + _apart(first, some))
    rows = [[_short(cell) for cell in row] for row in rows]
    if len(shown) > ACROSS:
        rows = [list(column) for column in zip(*rows, strict=True)]
    return printable("\n".join([_aligned(rows), *notes]))


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
    names = list(dict.fromkeys(name for own in values for name in own))
    rows = [[name, *(own.get(name, NONE) or '""' for own in values)] for name in names]
    return [row for row in rows if len(set(row[1:])) > 1]


def _training(shown):
    """How far each run came, its last losses, its speed."""
    last = [
        {name: column[-1] for name, column in found["epochs"].items() if column} for found in shown
    ]
    speeds = [found["speed"] for found in shown]
    return [
        ["epochs", *(_number(own.get("epoch"), ",") for own in last)],
        ["images seen", *(_number(own.get("images_seen"), ",") for own in last)],
        ["d_loss, last epoch", *(_number(own.get("d_loss"), ".3f") for own in last)],
        ["g_loss, last epoch", *(_number(own.get("g_loss"), ".3f") for own in last)],
        ["pixel variation, last epoch", *(_number(own.get("diversity"), ".2f") for own in last)],
        ["images a second", *(_number(own.get("images_per_second"), ",.0f") for own in speeds)],
        ["minutes", *(_number(_minutes(own), ",.1f") for own in speeds)],
    ]


def _minutes(speed):
    return speed["seconds"] / 60 if speed else None


def _number(value, form):
    return NONE if value is None else format(value, form)


def _scores(scores, count, name, mark):
    """Of each run the score with the lowest Fréchet distance, and the newest one's distance."""
    best = {run: min(own, key=lambda score: score["values"][name]) for run, own in scores.items()}
    newest = {run: own[-1] for run, own in scores.items()}

    def row(head, chosen, text):
        return [
            head + mark,
            *(text(chosen[run]) if run in chosen else NONE for run in range(count)),
        ]

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


def _explain(score, mark):
    """What a group of scores was measured against, and what real pictures have."""
    name = score["name"]
    floor = cell(score["floor"], name)
    real = "" if floor == NONE else f"; real pictures against real ones: {LABELS[name]} {floor}"
    which = f"scores{mark}: " if mark else "scores: "
    return f"{which}against {score['against']}{real}"


def _apart(first, score):
    """Why a score does not stand in one row with the first one, "" where it does."""
    why = mismatch(*({"protocol": dict(one["stamp"])} for one in (first, score)))
    return f"; not comparable with (1): {why}" if why else ""


def _ending(name):
    """A name by its end, in which runs of a sweep differ."""
    return name if len(name) <= WIDTH else "..." + name[3 - WIDTH :]


def _short(text):
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


def _aligned(rows):
    """Columns as wide as they need be, the first to the left, the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        f"{row[0]:{widths[0]}}"
        + "".join(f"  {c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )
