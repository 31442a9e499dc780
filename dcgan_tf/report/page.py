"""The report: one HTML file with style, script, data and images inside."""

import datetime
import logging
from pathlib import Path

from dcgan_tf import __version__
from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.pages import check_place, identify_runs, render
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, frechet_name, mismatch
from dcgan_tf.report.contents import contents
from dcgan_tf.report.thumbnails import add_images

log = logging.getLogger(__name__)

MOST_BYTES = 5_000_000  # of a page
RELOAD = 30  # seconds until the page of a running training reloads
_SPARE = 50_000  # bytes of them, for notes on the images


def write_report(runs: tuple[Run, ...], out: Path, running: bool = False):
    """Write the page of one run, or of several side by side, and say where it is.

    Args:
        running: whether the training is still running: the page says so and reloads itself.

    Raises:
        UserError: another file is in its place.
    """
    check_place(out, "report", "--out")
    with replacing(out) as temporary:
        temporary.write_bytes(page(runs, running))
    if not running:
        log.info(f"report: {out}")


def page(runs: tuple[Run, ...], running: bool = False) -> bytes:
    """Render the page in UTF-8."""
    read = [contents(run, len(runs)) for run in runs]
    shown = [found for _, found in read]
    tell_apart(shown)
    now = datetime.datetime.now(datetime.UTC)
    data = {
        "version": __version__,
        "written": now.strftime("%Y-%m-%d %H:%M UTC"),
        "reload": {"every": RELOAD, "until": now.timestamp() + 24 * 3600} if running else None,
        "labels": LABELS,
        "groups": compared(shown),
        "runs": shown,
    }
    shows = identify_runs(runs)
    room = MOST_BYTES - _SPARE - len(_render(data, shows))
    for files, found in read:
        add_images(files, found, max(room, 0) // len(read))
    return _render(data, shows)


def tell_apart(shown: list[dict]):
    """Add parent folders to the names of runs that share one; `shown` is from `contents`."""
    for length in range(2, 1 + max(len(Path(found["folder"]).parts) for found in shown)):
        names = [found["name"] for found in shown]
        for found in shown:
            if names.count(found["name"]) > 1:
                found["name"] = Path(*Path(found["folder"]).parts[-length:]).as_posix()


def compared(shown: list[dict]) -> list[list[list[int]]]:
    """Group comparable scores as places [run, score], newest first; remove their `record`."""
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


def _render(data, shows):
    title = " and ".join(found["name"] for found in data["runs"])
    return render(Path(__file__).parent, title, ["report.css"], ["report.js"], data, shows=shows)
