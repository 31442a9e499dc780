"""The command line of generate.py, parsed without NumPy and TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.cli import Parser, at_home, number, parse_seeds
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.pretrained import add_generator_flags, find_generator
from dcgan_tf.common.suggestions import typed

GENERATED_MOST = 10_000_000  # --limit at most: the file systems of today hold no more in one folder
SCALE = 64  # pixels that one pixel is enlarged to


@dataclass(frozen=True)
class GenerationRequest:
    """The flags of one call. One of `latents`, `fill` and `interpolate` replaces `seeds`."""

    model: Path
    out: Path | None = None  # for the next free folder of the run
    seeds: Sequence[int] = range(64)
    latents: Path | None = None
    fill: tuple[float, ...] = ()
    interpolate: tuple[int, ...] = ()
    truncation: float = 1.0
    frames: int = 25
    scale: int = 0  # which chooses
    limit: int = limits.GENERATED
    force: bool = False


def parse_generation(argv: Sequence[str] | None = None) -> GenerationRequest:
    """Read generate.py's command line, without importing TensorFlow.

    Raises:
        UserError: an unknown flag, an unreadable value, no model, or files in the way.
    """
    args = _parser().parse_args(argv)
    most = GENERATED_MOST
    limit = number("--limit", args.limit, limits.GENERATED, int, 1, most)
    count = number("--n", args.n, 64, int, 1)
    if args.n is not None:
        _check_count("--n", count, limit)
    given = {
        "out": None if args.out is None else Path(at_home("--out", args.out)),
        "seeds": range(count) if args.seeds is None else parse_seeds("--seeds", args.seeds, limit),
        "latents": None if args.latents is None else Path(at_home("--latents", args.latents)),
        "fill": _constants(args.fill, limit),
        "truncation": number("--truncation", args.truncation, 1.0, float, 0, limits.TRUNCATION),
        "frames": number("--frames", args.frames, 25, int, 2, most),
        "scale": number("--scale", args.scale, 0, int, 1 if args.scale else 0, SCALE),
        "limit": limit,
        "force": args.force,
    }
    _check_distinct("--seeds", given["seeds"])
    given["interpolate"] = _way(args.interpolate, given["frames"], limit)
    if given["out"] is not None:
        check_out(given["out"], args.force)
    # The model comes last: a mistyped flag is told before a model is asked for.
    model = find_generator(args)
    check_file(model, "--model", "a generator's .keras file")
    return GenerationRequest(model, **given)


def _parser():
    parser = Parser(
        prog=typed("generate"),
        description="Generate images with a trained generator.",
        epilog=f"example: {typed('generate')} --n 64",
    )
    add_generator_flags(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--n", metavar="N", help="number of images, of seeds 0 to N-1 [64]")
    what.add_argument("--seeds", metavar="LIST", help="images of these seeds, such as 0-63,100")
    what.add_argument("--latents", metavar="FILE", help="latents from a .npy file (n, latent_dim)")
    what.add_argument("--fill", metavar="X,..", help="constant latents, such as 0,0.5,1")
    what.add_argument("--interpolate", metavar="SEEDS", help="a GIF and a strip from seed to seed, "
        "such as 3,17,42")  # fmt: skip
    add = parser.add_argument
    add("--truncation", metavar="T", help="multiply latents by T, such as 0.7 [1]")
    add("--frames", metavar="N", help="frames from one seed to the next, both ends counted [25]")
    add("--scale", metavar="N", help="enlarge grid, strip and GIF N times, not the single images "
        "[until a grid is 500 pixels wide]")  # fmt: skip
    add("--limit", metavar="N", help=f"images of one command, at most [{limits.GENERATED:,}]")
    add("--out", metavar="DIR", help="where to write [a new folder in the run]")
    add("--force", action="store_true", help="write into a folder that has files")
    return parser


def _check_count(flag, count, limit):
    if count > limit:
        raise UserError(
            f"asks for {limits.shown(count)} images, {limit:,} at most in one command; --limit "
            "raises this",
            flag=flag,
        )


def _constants(text, limit):
    values = () if text is None else text.split(",")
    values = tuple(number("--fill", value, None, float) for value in values)
    _check_distinct("--fill", values)
    _check_count("--fill", len(values), limit)
    return values


def _way(text, frames, limit):
    seeds = () if text is None else tuple(parse_seeds("--interpolate", text, limit))
    if len(seeds) == 1:
        raise UserError("got one seed, expected two or more, such as 3,17,42", flag="--interpolate")
    _check_count("--interpolate", (len(seeds) - 1) * (frames - 1), limit)
    return seeds


def _check_distinct(flag, values):
    """Each value names a file."""
    if not isinstance(values, range) and len(set(values)) < len(values):
        seen = set()
        again = next(value for value in values if value in seen or seen.add(value))
        raise UserError(f"names {again} twice; its image is the same: name each once", flag=flag)


def check_out(out: Path, force: bool):
    """Refuse a folder that has files, unless they may be replaced."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError("this is a file, expected a folder", flag=f"--out {out}")
    if any(out.iterdir()) and not force:
        raise UserError(
            "has files already; name another folder, or add --force to replace those of the same "
            "names",
            flag=f"--out {out}",
        )
