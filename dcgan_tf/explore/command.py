"""Explore a generator in the browser: `dcgan explore RUN`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import directions, pretrained
from dcgan_tf.common.cli import Parser, number, path
from dcgan_tf.common.files import make_directory
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.log import printable
from dcgan_tf.common.pages import check_place
from dcgan_tf.common.pretrained import add_generator_flags, find_generator
from dcgan_tf.common.suggestions import path_flag, typed


@dataclass(frozen=True)
class ExploreRequest:
    """The command line, read and checked."""

    model: Path
    name: str  # of the generator
    hint: str  # the command that finds directions for it
    found: tuple[Path, ...]  # where to look for directions if none are named
    port: int  # 0: any free port
    browser: bool  # whether to open a browser
    directions: Path | None  # the named file
    static: Path | None  # the file to write instead of serving
    runtime: Path | None  # folder of onnxruntime-web for it; None: download


def parse_explore(argv: Sequence[str] | None = None) -> ExploreRequest:
    """Read the command line, without TensorFlow; UserError says what is wrong with it."""
    parser = Parser(
        "explore",
        "Explore a generator in the browser: pick seeds, move along directions, interpolate and do "
        "arithmetic with faces. Only this machine can open the page.",
        {
            "faces": "the bundled generator",
            "latest --directions my.npz": "the newest run, with sliders for these directions",
            "1 --static faces.html": "a page in one file, for a web site",
        },
    )
    add_generator_flags(parser)
    add = parser.add_argument
    add("--directions", type=path, metavar="FILE", help="file of directions for the sliders "
        f"[{directions.NAME} next to the generator]")  # fmt: skip
    add("--port", type=number(int, 0, 65535), metavar="N", help="port of 127.0.0.1 [a free one]")
    add("--no-browser", action="store_true", help="only print the address")
    add("--static", type=path, metavar="FILE", help="write one HTML file that needs no server")
    add("--runtime", type=path, metavar="DIR", help="folder of onnxruntime-web for --static "
        "[downloaded once]")  # fmt: skip
    args = parser.parse_args(argv)
    if args.directions is not None:
        check_file(args.directions, "--directions", "a file of directions")
    model = find_generator(args)
    if args.static is not None:
        home = pretrained.home_of(model).absolute()
        if args.static.absolute().parent == home:  # where export --to hub looks for it
            make_directory(args.static.parent, "--static")
        check_place(args.static, "explorer", "--static")
    name, flag = model.parent.resolve().name, path_flag("--run", model.parent)
    if args.model is not None:
        name, flag = model.stem, path_flag("--model", model)
    elif args.pretrained is not None:
        name, flag = str(args.pretrained), f"--pretrained {args.pretrained}"
    check_file(model, "", "a generator's .keras file")
    found = tuple(folder / directions.NAME for folder in (pretrained.home_of(model), model.parent))
    paths = {part: getattr(args, part) for part in ("directions", "static", "runtime")}
    hint = f"{typed('directions')} {flag}"
    return ExploreRequest(
        model, printable(name), hint, found, args.port or 0, not args.no_browser, **paths
    )
