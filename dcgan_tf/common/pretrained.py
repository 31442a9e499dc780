"""Select a generator: a run's, a file, or a bundled one."""

import re
from argparse import ArgumentParser, Namespace
from pathlib import Path

from dcgan_tf.common import hub, limits, runs
from dcgan_tf.common.cli import path
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import RUNS, Run
from dcgan_tf.common.suggestions import meant

FOLDER, names = runs.BUNDLED, runs.bundled
PREFIX = "pretrained:"  # before a name where a path could stand too


def add_generator_flags(parser: ArgumentParser):
    """Add RUN, --run, --model and --pretrained; a command line has one of them at most."""
    parser.add_argument(
        "word",
        type=path,
        nargs="?",
        metavar="RUN",
        help="a run (directory, name or number in runs/, latest), a .keras file, or the name of "
        f"bundled networks: {', '.join(names())} [latest]",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run", type=path, metavar="RUN", help="a run")
    where.add_argument("--model", type=path, metavar="FILE", help="a .keras file")
    where.add_argument("--pretrained", metavar="NAME", help="bundled networks, or hf:USER/NAME")


def find_generator(args: Namespace, part: str = "generator") -> Path:
    """Find the generator, or discriminator, that the command line names; else the newest run's.

    A word without a flag is stored as the flag that it stands for. Files are not opened.
    """
    if args.word is not None:
        if args.run or args.model or args.pretrained:
            raise UserError(f"got {args.word} as well as a flag for the generator; give only one")
        setattr(args, _flag_for(args.word), args.word)
    if args.model is not None:
        return args.model
    if str(args.pretrained).startswith(hub.PREFIX):
        named = Path(args.pretrained).as_posix()  # a word is a path by now
        return hub.download(named, f"{part}.keras", "--pretrained")
    if args.pretrained is not None:
        return getattr(pretrained(str(args.pretrained), "--pretrained"), part)
    run = runs.find(args.run or "latest", "" if args.word else "--run", names())
    file = getattr(run, part)
    if not file.is_file():
        raise UserError(f"{run.root}: no {file.name} there; it appears with the first checkpoint")
    return file


def _flag_for(word):
    if word.is_file() or word.suffix == ".keras":
        return "model"
    bundled = str(word) in names() and not Run(word).generator.is_file()
    return "pretrained" if bundled or str(word).startswith(hub.PREFIX) else "run"


def pretrained(name: str, flag: str) -> Run:
    """Find the run directory of bundled networks, which is read-only."""
    if name not in names():
        near = meant(name, names())
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(names()) or 'none'}"
        raise UserError(f"{flag}: unknown networks {limits.shown(name)}; {hint}")
    return Run(FOLDER / name)


def run_named(named: str, flag: str) -> Run:
    """The run at a path, which is not checked, or of `pretrained:NAME`."""
    if named.startswith(PREFIX):
        return pretrained(named.removeprefix(PREFIX), flag)
    return Run(named)


def home_of(model: Path) -> Path:
    """Find the folder of the run that a generator's file belongs to, else the one it lies in.

    Nothing is written into the package or the hub's cache: for those it is a folder in runs/.
    """
    folder, root = model.absolute().parent, runs.run_of(model).root
    if folder.parent == FOLDER:  # nothing is written into the package
        return RUNS / f"pretrained-{folder.name}"
    if cached := re.search(r"\bmodels--([^/\\]+)[/\\]snapshots\b", str(folder)):  # of the hub
        return RUNS / f"hf-{cached[1]}"
    if root == folder:
        return model.parent
    return model.parent.parent if len(model.parts) > 2 else root
