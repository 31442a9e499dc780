"""Compare runs as a table and a plot: `dcgan compare RUN RUN`."""

from collections.abc import Sequence
from pathlib import Path

from dcgan_tf.common.cli import Parser, path
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.pages import check_place, place_beside
from dcgan_tf.common.runs import Run, find
from dcgan_tf.common.suggestions import typed
from dcgan_tf.report.command import check_run

MOST = 30  # runs; the lines of more could not be told apart
FORMATS = ("text", "md", "csv", "latex", "json")  # of the table
MARK = {"generator": "dcgan_tf compare"}  # text that identifies a PNG of this command


def parse_compare(argv: Sequence[str] | None = None) -> tuple[tuple[Run, ...], Path, str]:
    """Read the command line, without TensorFlow; UserError says what is wrong with it."""
    parser = Parser(
        "compare",
        "Compare runs: print their differing settings, losses, speed, and scores of the same "
        "protocol; plot losses and scores over the images seen.",
        {
            "1 2": "two runs, by their numbers in runs/",
            "runs/0* --out sweep.png": "all numbered runs, with the plot in sweep.png",
        },
    )
    parser.add_argument("runs", type=path, nargs="*", metavar="RUN", help="two or more runs: "
        "directories, or names or numbers in runs/")  # fmt: skip
    parser.add_argument("--out", type=path, metavar="FILE", help="the plot, a PNG [compare.png "
        "next to the first run, or compare-2.png if that has other runs]")  # fmt: skip
    words = f"format of the table: {', '.join(FORMATS)} [text]"
    parser.add_argument("--format", default="text", choices=FORMATS, metavar="NAME", help=words)
    args = parser.parse_args(argv)
    roots = dict.fromkeys(find(word).root for word in args.runs)
    runs = tuple(map(Run, roots))
    for run in runs:
        check_run(run)
    if not 2 <= len(runs) <= MOST:
        raise UserError(
            f"got {len(runs)} different runs, expected 2 to {MOST}; {typed('report')} RUN shows one"
        )
    mark = "\0".join(*MARK.items()).encode()
    out = args.out or place_beside(runs, "compare.png", mark)
    if out.suffix.lower() != ".png":
        raise UserError("expected the name of a PNG, such as compare.png", flag=f"--out {out}")
    check_place(out, "plot of this command", "--out", mark)
    return runs, out, args.format
