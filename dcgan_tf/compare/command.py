"""Compare runs as a table and a plot: `dcgan compare RUN RUN`."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from dcgan_tf.common.cli import Parser, path
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import open_regular
from dcgan_tf.common.runs import Run, find
from dcgan_tf.common.suggestions import typed
from dcgan_tf.report.command import check_run

MOST = 30  # runs; for more there are no lines that can be told apart
MARK = {"generator": "dcgan_tf compare"}  # text in a PNG of ours


def parse_compare(argv: Sequence[str] | None = None) -> tuple[tuple[Run, ...], Path]:
    """Read the command line, without TensorFlow; UserError says what is wrong with it."""
    parser = Parser(
        "compare",
        "Print what differs between runs: settings, losses, speed, and scores of the same "
        "protocol; and plot their losses and scores over the images seen.",
        {
            "1 2": "two runs by their numbers in runs/",
            "runs/* --out sweep.png": "all runs, with the plot in another place",
        },
    )
    parser.add_argument("runs", type=path, nargs="*", metavar="RUN", help="two runs or more: "
        "directories, or names or numbers in runs/")  # fmt: skip
    parser.add_argument("--out", type=path, metavar="FILE", help="the plot, a PNG [compare.png "
        "beside the first run]")  # fmt: skip
    args = parser.parse_args(argv)
    roots = dict.fromkeys(find(word).root for word in args.runs)
    runs = tuple(map(Run, roots))
    for run in runs:
        check_run(run)
    if not 2 <= len(runs) <= MOST:
        raise UserError(
            f"got {len(runs)} different runs, expected 2 to {MOST}; {typed('report')} RUN shows one"
        )
    out = args.out or runs[0].root.resolve().parent / "compare.png"
    _check_out(out)
    return runs, out


def _check_out(out):
    flag = f"--out {out}"
    if out.suffix.lower() != ".png":
        raise UserError("expected the name of a PNG, such as compare.png", flag=flag)
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent}; make it", flag=flag)
    if out.is_dir():
        raise UserError(f"a folder; expected the name of a file, such as {out}/plot.png", flag=flag)
    if out.exists() and not _is_plot(out):
        words = "a file that is no plot of this command; move it away or name another with --out"
        raise UserError(words, flag=flag)


def _is_plot(path):
    """Whether a file was drawn by this command."""
    try:
        with open_regular(path) as file, Image.open(file, formats=("PNG",)) as image:
            return MARK.items() <= image.text.items()
    except (OSError, ValueError, Image.DecompressionBombError):  # no PNG, or one far too large
        return False
