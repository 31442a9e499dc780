"""Compare runs as a table and a plot: `python -m dcgan_tf.compare RUN RUN`."""

from collections.abc import Sequence
from pathlib import Path

from dcgan_tf.common.cli import Parser, at_home
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.compare.plot import is_plot
from dcgan_tf.report.command import check_run

MOST = 30  # runs; for more there are no lines that can be told apart


def parse_compare(argv: Sequence[str] | None = None) -> tuple[tuple[Run, ...], Path]:
    """Read the command line, without importing NumPy.

    Returns:
        The runs, each once, two at least; the plot's file.

    Raises:
        UserError: an unknown flag, a folder that is no run, fewer than two, no name of a PNG, or
            one of somebody else's file.
    """
    parser = Parser(
        prog="python -m dcgan_tf.compare",
        description="Print what differs between runs: settings, losses, speed, and scores where "
        "their stamps compare; and plot their losses and scores over the images seen.",
        epilog="example: python -m dcgan_tf.compare runs/0001-celeba runs/0002-laptop",
        argument_default=None,
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help="directories of runs, two or more")
    parser.add_argument("--out", metavar="FILE", help="the plot; compare.png beside the first run")
    args = parser.parse_args(argv)
    folders = dict.fromkeys(Path(at_home("RUN", folder)) for folder in args.runs)
    runs = tuple(map(Run, folders))
    for run in runs:
        check_run(run, "")
    if not 2 <= len(runs) <= MOST:
        raise UserError(
            f"got {len(runs)} different runs, expected 2 to {MOST}; "
            "python -m dcgan_tf.report --run DIR shows one"
        )
    out = _plot(args.out, runs[0])
    _check_place(out)
    return runs, out


def _plot(named, first):
    if named is None:
        return first.root.resolve().parent / "compare.png"
    path = Path(at_home("--out", named))
    if path.suffix.lower() != ".png":
        raise UserError("expected the name of a PNG, such as compare.png", flag=f"--out {path}")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}; make it", flag=f"--out {path}")
    return path


def _check_place(out):
    """Refuse to write over what is no plot of this command, as the report does with its page."""
    if out.is_dir():
        raise UserError(f"{out}: a folder; expected the name of a file, such as {out}/compare.png")
    if out.exists() and not is_plot(out):
        raise UserError(
            f"{out}: a file that is no plot of this command; move it away or name another with "
            "--out"
        )
