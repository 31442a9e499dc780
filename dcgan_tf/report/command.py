"""Write one run, or several side by side, as a page: `python -m dcgan_tf.report`."""

from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import runs
from dcgan_tf.common.cli import Parser, at_home
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run

MOST_RUNS = 8  # on one page: there is room for so many lines in a plot


@dataclass(frozen=True)
class ReportRequest:
    """What one call asks for."""

    runs: tuple[Run, ...]  # that are shown, at least one
    out: Path  # the page


def parse_report(argv: list[str] | None = None) -> ReportRequest:
    """Read the command line.

    Raises:
        UserError: an unknown flag, or a folder that is no run.
    """
    parser = Parser(
        prog="python -m dcgan_tf.report",
        description="Write one HTML file that shows a run, or several side by side: curves, "
        "samples through time, scores, settings, speed. It opens from disk and needs no network.",
        epilog="example: python -m dcgan_tf.report --run runs/0001-celeba --run runs/0002-laptop",
        argument_default=None,
    )
    add = parser.add_argument
    add("--run", metavar="DIR", action="append", help="a run; again for more; the newest one")
    add("--out", metavar="FILE", help="the page; report.html in the run, of several beside them")
    args = parser.parse_args(argv)
    folders = [Path(at_home("--run", folder)) for folder in args.run or ()]
    shown = tuple(map(Run, dict.fromkeys(folders))) or (runs.newest(),)
    if len(shown) > MOST_RUNS:
        raise UserError(f"--run: got {len(shown)} runs, expected {MOST_RUNS} at most on one page")
    for run in shown:
        check_run(run)
    if args.out is not None:
        return ReportRequest(shown, Path(at_home("--out", args.out)))
    first = shown[0]
    return ReportRequest(
        shown, first.report if len(shown) == 1 else first.root.resolve().parent / first.report.name
    )


def check_run(run: Run, flag: str = "--run"):
    """Raise UserError for what is no run's directory, damaged though it may be.

    Args:
        flag: what named it, for the message.
    """
    runs.existing(run, flag)
    if not any(path.exists() for path in (run.config, run.metrics, run.samples, run.generator)):
        raise UserError(
            "neither config.toml nor metrics.jsonl, samples or a generator, so it is no run",
            flag=f"{flag} {run.root}".strip(),
        )
