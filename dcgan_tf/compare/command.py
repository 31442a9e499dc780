"""Compare runs as a table and a plot: `python -m dcgan_tf.compare RUN RUN`."""

from collections.abc import Sequence
from pathlib import Path

from dcgan_tf.common.cli import Parser, at_home
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.pages import check_place
from dcgan_tf.common.runs import Run
from dcgan_tf.report.command import check_run

MOST = 30  # runs; for more there are no lines that can be told apart
FORMATS = ("text", "md", "csv", "latex", "json")  # of the table
MARK = {"generator": "dcgan_tf compare"}  # text in a PNG of ours


def parse_compare(argv: Sequence[str] | None = None) -> tuple[tuple[Run, ...], Path, str]:
    """Read the runs, each once, the plot's file and the table's format, without NumPy.

    Raises:
        UserError: an unknown flag, a folder that is no run, fewer than two, no name of a PNG, or
            a file in the way that is no such plot.
    """
    parser = Parser(
        prog="python -m dcgan_tf.compare",
        description="Print what differs between runs: settings, losses, speed, and scores of the "
        "same protocol; and plot their losses and scores over the images seen.",
        epilog="example: python -m dcgan_tf.compare runs/0001-celeba runs/0002-laptop",
        argument_default=None,
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help="directories of runs, two or more")
    parser.add_argument("--out", metavar="FILE", help="the plot; compare.png beside the first run")
    words = f"of the table: {', '.join(FORMATS)} [text]"
    parser.add_argument("--format", default="text", choices=FORMATS, metavar="NAME", help=words)
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
    if args.out is None:
        out = runs[0].root.resolve().parent / "compare.png"
    else:
        out = Path(at_home("--out", args.out))
    _check_out(out)
    return runs, out, args.format


def _check_out(out):
    if out.suffix.lower() != ".png":
        raise UserError("expected the name of a PNG, such as compare.png", flag=f"--out {out}")
    check_place(out, "plot of this command", "--out", "\0".join(*MARK.items()).encode())
