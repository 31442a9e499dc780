"""Select a generator: of a run, from a file, or bundled with the package."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from dcgan_tf.common import limits, runs
from dcgan_tf.common.cli import at_home
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import RUNS, Run
from dcgan_tf.common.suggestions import meant

FOLDER = Path(__file__).parents[1] / "pretrained"  # a run directory for each bundled generator
PREFIX = "pretrained:"  # before a name where a path could stand too


def add_generator_flags(parser: ArgumentParser):
    """Add --run, --model and --pretrained, of which a command line has one at most."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run", metavar="DIR", help="the run whose generator is used [the newest]")
    where.add_argument("--model", metavar="FILE", help="a generator's .keras file instead")
    where.add_argument("--pretrained", metavar="NAME", help="a bundled generator: faces")


def find_generator(args: Namespace) -> Path:
    """Find the file of the generator that the flags name; without them that of the newest run.

    Raises:
        UserError: no such run, no generator in it yet, or no networks of that name. A file that
            --model names is not looked at.
    """
    if args.model is not None:
        return Path(at_home("--model", args.model))
    if args.pretrained is not None:
        return pretrained(args.pretrained, "--pretrained").generator
    if args.run is None:
        return runs.newest().generator
    path = runs.existing(Run(at_home("--run", args.run))).generator
    if not path.is_file():
        raise UserError(
            f"--run {args.run}: no generator.keras there; it appears with the first checkpoint"
        )
    return path


def names() -> list[str]:
    """Name the bundled networks, such as `faces`."""
    return sorted(path.parent.name for path in FOLDER.glob("*/generator.keras"))


def pretrained(name: str, flag: str) -> Run:
    """Find the run directory of bundled networks; read it, write nothing there."""
    if name not in names():
        near = meant(name, names())
        raise UserError(
            f"{flag}: unknown networks {limits.shown(name)}; "
            + (f"did you mean {near}?" if near else f"there are: {', '.join(names()) or 'none'}")
        )
    return Run(FOLDER / name)


def run_named(named: str, flag: str) -> Run:
    """Find the run of a path, which is not looked at, or of `pretrained:NAME`."""
    if named.startswith(PREFIX):
        return pretrained(named.removeprefix(PREFIX), flag)
    return Run(named)


def home_of(model: Path) -> Path:
    """Find the folder of the run that a generator's file belongs to, else the one it lies in.

    Nothing is written into the package: for a bundled generator it is a folder in runs/.
    """
    folder, root = model.absolute().parent, runs.run_of(model).root
    if folder.parent == FOLDER:
        return RUNS / f"pretrained-{folder.name}"
    if root == folder:
        return model.parent
    return model.parent.parent if len(model.parts) > 2 else root
