"""The command line of generate.py, parsed without NumPy and TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.cli import Parser, at_home, leave, number, parse_seeds, run_command
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.generator_flags import add_generator_flags, find_generator
from dcgan_tf.common.hints import typed
from dcgan_tf.common.log import speak
from dcgan_tf.generate.request import GenerationRequest, check_way


def parse_generation(argv: Sequence[str] | None = None) -> GenerationRequest:
    """Read generate.py's command line, without importing TensorFlow.

    Raises:
        UserError: an unknown flag, an unreadable value, no model, or files in the way.
    """
    args = _parser().parse_args(argv)
    limit = number("--limit", args.limit, limits.GENERATED, int, 1, limits.GENERATED_MOST)
    count = number("--n", args.n, 64, int, 1)
    if count > limit:
        raise UserError(
            f"--n: asks for {limits.shown(count)} pictures, {limit:,} at most in one command; "
            "--limit raises this"
        )
    given = {
        "out": None if args.out is None else _path("--out", args.out),
        "seeds": range(count) if args.seeds is None else parse_seeds("--seeds", args.seeds, limit),
        "latents": None if args.latents is None else _path("--latents", args.latents),
        "fill": _numbers("--fill", args.fill),
        "interpolate": _way(args.interpolate, limit),
        "truncation": number("--truncation", args.truncation, 1.0, float, 0, limits.TRUNCATION),
        "frames": number("--frames", args.frames, 25, int, 2, limits.GENERATED_MOST),
        "scale": number("--scale", args.scale, 0, int, 1 if args.scale else 0, limits.SCALE),
    }
    # The model comes last: who mistyped a flag should not first be sent for a model.
    return GenerationRequest(model=find_generator(args), limit=limit, force=args.force, **given)


def _parser():
    parser = Parser(
        prog=typed("generate"),
        description="Generate pictures with a trained generator.",
        epilog=f"example: {typed('generate')} --n 64",
    )
    add_generator_flags(parser)
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
    add = parser.add_argument
    add("--truncation", metavar="T", help="multiply latents by T, such as 0.7 [1]")
    add("--frames", metavar="N", help="frames from one seed to the next, both ends counted [25]")
    add(
        "--scale",
        metavar="N",
        help="enlarge grid, strip and GIF N times, not the single pictures "
        "[until a grid is 500 pixels wide]",
    )
    add("--limit", metavar="N", help=f"pictures of one command, at most [{limits.GENERATED:,}]")
    add("--out", metavar="DIR", help="where to write [a new folder in the run]")
    add("--force", action="store_true", help="write into a folder that has files")
    return parser


def _numbers(flag, text):
    return () if text is None else tuple(number(flag, t, None, float) for t in text.split(","))


def _way(text, limit):
    seeds = () if text is None else tuple(parse_seeds("--interpolate", text, limit))
    check_way(seeds)
    return seeds


def _path(flag, text):
    """Path: what a flag names, with ~ replaced."""
    return Path(at_home(flag, text))


def main(argv: Sequence[str] | None = None):
    """Generate as the command line asks."""
    speak()
    request = parse_generation(argv)  # mistakes are refused before TensorFlow's seconds
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    from dcgan_tf.generate.generation import generate

    generate(request)


def run():
    """The command `generate.py`, or `dcgan-generate` where the package is installed."""
    leave(run_command(main))
