"""The report: one HTML file with style, script, data and images inside."""

import datetime
import logging
from pathlib import Path

from dcgan_tf import __version__
from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.pages import check_place, render
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, frechet_name, mismatch
from dcgan_tf.report.contents import add_images, contents

log = logging.getLogger(__name__)

MOST_BYTES = 5_000_000  # of a page
_SPARE = 50_000  # of them, for what is written after the images


def write_report(runs: tuple[Run, ...], out: Path):
    """Write the page of one run, or of several side by side, and say where it is.

    Raises:
        UserError: another file is in its place, or the page would be too large.
    """
    check_place(out, "report", "--out")
    text = page(runs)
    if len(text) > MOST_BYTES:
        raise UserError(
            f"{out}: the page would have {len(text):,} bytes, {MOST_BYTES:,} at most; "
            "show fewer runs at once"
        )
    with replacing(out) as temporary:
        temporary.write_bytes(text)
    log.info(f"report: {out}")


def page(runs: tuple[Run, ...]) -> bytes:
    """The page, in UTF-8."""
    told = [contents(run, len(runs)) for run in runs]
    shown = [found for _, found in told]
    tell_apart(shown)
    data = {
        "version": __version__,
        "written": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "labels": LABELS,
        "groups": compared(shown),
        "runs": shown,
    }
    room = MOST_BYTES - _SPARE - len(_filled(data))
    for files, found in told:
        add_images(files, found, max(room, 0) // len(told))
    return _filled(data)


def tell_apart(shown: list[dict]):
    """Give runs of one name, in what `contents` says of them, their parent folder's as well."""
    names = [found["name"] for found in shown]
    for found in shown:
        if names.count(found["name"]) > 1:
            found["name"] = "/".join(Path(found["folder"]).parts[-2:])


def compared(shown: list[dict]) -> list[list[list[int]]]:
    """The scores that may be put side by side, in groups, the newest first.

    Args:
        shown: what `contents` says of each run; `record` is taken out of its scores.

    Returns:
        For each group the places of its scores, [run, score].
    """
    groups = []
    for number, found in enumerate(shown):
        for place, score in enumerate(found["scores"]):
            record = score.pop("record")
            for first, members in groups:
                if frechet_name(first) == frechet_name(record) and not mismatch(first, record):
                    members.append([number, place])
                    break
            else:
                groups.append((record, [[number, place]]))
    return [members for _, members in groups][::-1]


def _filled(data):
    title = " and ".join(found["name"] for found in data["runs"])
    return render(Path(__file__).parent, title, ["report.css"], ["report.js"], data)
