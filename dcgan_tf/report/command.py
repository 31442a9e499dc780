"""Write one run, or several side by side, as a page: `dcgan report RUN`."""

from pathlib import Path

from dcgan_tf.common import runs
from dcgan_tf.common.cli import Parser, path
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.pages import page_mark, place_beside
from dcgan_tf.common.runs import Run

MOST_RUNS = 8  # on one page: as many as there are colors


def parse_report(argv=None) -> tuple[tuple[Run, ...], Path]:
    """Read the command line, without TensorFlow; UserError says what is wrong with it."""
    parser = Parser(
        "report",
        "Write one HTML file that shows a run, or several side by side: curves, samples over "
        "time, scores, settings, speed. It opens from disk and needs no network.",
        {
            "": "the newest run, as report.html in its directory",
            "1 2 --out both.html": "two runs side by side, by their numbers in runs/",
        },
    )
    add = parser.add_argument
    add("runs", type=path, nargs="*", metavar="RUN", help="runs: directories, or names or numbers "
        "in runs/ [latest]")  # fmt: skip
    add("--run", type=path, metavar="RUN", action="append", default=[], help="a run, instead of "
        "a positional argument")  # fmt: skip
    add("--out", type=path, metavar="FILE", help="the page [report.html in the run; for several "
        "runs, next to the first, or report-2.html if that has other runs]")  # fmt: skip
    args = parser.parse_args(argv)
    words = [(word, "") for word in args.runs] + [(word, "--run") for word in args.run]
    if len(words) > MOST_RUNS:
        raise UserError(f"got {len(words)} runs, expected {MOST_RUNS} at most on one page")
    roots = dict.fromkeys(runs.find(*word).root for word in words)
    shown = tuple(map(Run, roots)) or (runs.newest(),)
    for run in shown:
        check_run(run)
    first = shown[0]
    place = first.report
    if len(shown) > 1:
        place = place_beside(shown, first.report.name, page_mark("report"))
    return shown, args.out or place


def check_run(run: Run):
    """Raise UserError for a folder without any file of a run; a damaged run is accepted."""
    if not any(path.exists() for path in (run.config, run.metrics, run.samples, run.generator)):
        missing = "no config.toml, metrics.jsonl, samples or generator"
        raise UserError(f"{run.root}: {missing}, so it is not a run")
