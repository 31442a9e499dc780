"""List and clear cached packs and features: `python -m dcgan_tf.storage`."""

from pathlib import Path

from dcgan_tf.common.cli import Parser, at_home, number

PLACES = ("data/packs", "data/features")


def parse_storage(argv=None):
    """Read the command line.

    Returns:
        argparse.Namespace: places, a list of Path; unused, days; clear, bool.

    Raises:
        UserError: an unknown flag or an unreadable value.
    """
    parser = Parser(
        prog="python -m dcgan_tf.storage",
        description="List prepared pictures (packs) and features with their sizes and when they "
        "were last used; with --clear, delete what is listed. All of it is made again when needed.",
        epilog="example: python -m dcgan_tf.storage --unused 30 --clear",
        argument_default=None,
    )
    add = parser.add_argument
    add("places", nargs="*", help=f"folders of them, or one of them; {' and '.join(PLACES)}")
    add("--unused", metavar="DAYS", help="only what was not used for so many days")
    add("--clear", action="store_true", default=False, help="delete what is listed")
    args = parser.parse_args(argv)
    args.unused = number("--unused", args.unused, 0.0, float, 0)
    given = [Path(at_home("place", place)) for place in args.places]
    args.places = given or [path for path in map(Path, PLACES) if path.is_dir()]
    return args
