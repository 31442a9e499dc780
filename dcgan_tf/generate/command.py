"""generate.py's command line, read without NumPy and TensorFlow so that mistakes answer at once."""

from pathlib import Path

from dcgan_tf.common import runs
from dcgan_tf.common.cli import Parser, leave, number, parse_seeds, run_command, typed
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.log import speak


def parse_generation(argv=None):
    """Read generate.py's command line, without importing TensorFlow.

    Returns:
        argparse.Namespace: `model` (Path), `out` (Path or None), `seeds` (list or None), ...

    Raises:
        UserError: an unknown flag, an unreadable value, no model, or files in the way.
    """
    parser = Parser(
        prog=typed("generate"),
        description="Generate pictures with a trained generator.",
        epilog=f"example: {typed('generate')} --n 64",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run", metavar="DIR", help="the run whose generator is used [the newest]")
    where.add_argument("--model", metavar="FILE", help="a generator's .keras file instead")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--n", metavar="N", help="so many pictures, of seeds 0 to N-1 [64]")
    what.add_argument("--seeds", metavar="LIST", help="pictures of these seeds, such as 0-63,100")
    what.add_argument("--latents", metavar="FILE", help="latents from a .npy file (n, latent_dim)")
    what.add_argument("--fill", metavar="X,..", help="constant latents, such as 0,0.5,1")
    what.add_argument(
        "--interpolate",
        metavar="SEEDS",
        help="a GIF and a strip from seed to seed, such as 3,17,42",
    )
    parser.add_argument("--truncation", metavar="T", help="multiply latents by T, such as 0.7 [1]")
    parser.add_argument("--frames", metavar="N", help="interpolation steps per pair of seeds [24]")
    parser.add_argument("--out", metavar="DIR", help="where to write [a new folder in the run]")
    parser.add_argument("--force", action="store_true", help="write into a folder that has files")
    args = parser.parse_args(argv)
    args.n = number("--n", args.n, 64, int, 1)
    args.frames = number("--frames", args.frames, 24, int, 1)
    args.truncation = number("--truncation", args.truncation, 1.0, float, 0)
    args.seeds = (
        parse_seeds("--seeds", args.seeds) if args.seeds is not None else list(range(args.n))
    )
    if args.interpolate is not None:
        args.interpolate = parse_seeds("--interpolate", args.interpolate)
        if len(args.interpolate) < 2:
            raise UserError("--interpolate: got one seed, expected two or more, such as 3,17,42")
    if args.fill is not None:
        args.fill = [number("--fill", text, None, float) for text in args.fill.split(",")]
    args.model = _find_model(args)
    args.out = Path(args.out) if args.out is not None else None
    if args.out and args.out.exists():
        if not args.out.is_dir():
            raise UserError(f"--out {args.out}: this is a file, expected a folder")
        if any(args.out.iterdir()) and not args.force:
            raise UserError(
                f"--out {args.out}: has files already; name another folder, or add --force "
                "to replace those of the same names"
            )
    return args


def _find_model(args):
    if args.model:
        path = Path(args.model)
    elif args.run:
        path = runs.Run(args.run).generator
        if not path.is_file():
            raise UserError(
                f"--run {args.run}: no generator.keras there; it appears with the first checkpoint"
            )
    else:
        path = runs.newest().generator
    if not path.is_file():
        raise UserError(f"--model {path}: no such file")
    return path


def main(argv=None):
    """Generate as the command line asks."""
    speak()
    args = parse_generation(argv)  # mistakes are refused before the seconds that TensorFlow takes
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    from dcgan_tf.generate.generation import generate

    generate(args)


def run():
    """The command `generate.py`, or `dcgan-generate` where the package is installed."""
    leave(run_command(main))
