"""The flags --run, --model and --pretrained, which select a generator."""

from pathlib import Path

from dcgan_tf.common import runs
from dcgan_tf.common.cli import at_home
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.pretrained import pretrained


def add_generator_flags(parser):
    """The three flags, of which a command line has one at most."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run", metavar="DIR", help="the run whose generator is used [the newest]")
    where.add_argument("--model", metavar="FILE", help="a generator's .keras file instead")
    where.add_argument(
        "--pretrained", metavar="NAME", help="a generator that comes with the package: faces"
    )


def find_generator(args) -> Path:
    """The generator's file that the flags name; without them that of the newest run.

    Args:
        args: what argparse made of `add_generator_flags`.

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
    path = runs.existing(runs.Run(at_home("--run", args.run))).generator
    if not path.is_file():
        raise UserError(
            f"--run {args.run}: no generator.keras there; it appears with the first checkpoint"
        )
    return path
