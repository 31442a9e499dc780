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


@dataclass(frozen=True)
class GenerationRequest:
    """What one call of generate.py asks for; checked when it is made, changed by `replace`.

    One of `latents`, `fill` and `interpolate` replaces `seeds`.

    Attributes:
        model: the generator's .keras file.
        out: the folder to write into, or None for the next free one of the run.
        seeds: of the pictures, each once.
        latents: a .npy file of latents (n, latent_dim).
        fill: constant latents, each once.
        interpolate: seeds to go through, two or more.
        truncation: factor on every latent.
        frames: of the way from one seed of `interpolate` to the next, both ends counted.
        scale: pixels that a pixel of grid, strip and GIF is enlarged to; 0 chooses.
        limit: pictures that are made at most.
        force: write into a folder that has files.

    Raises:
        UserError: the flag, what came and what was expected.
    """

    model: Path
    out: Path | None = None
    seeds: Sequence[int] = range(64)
    latents: Path | None = None
    fill: tuple[float, ...] = ()
    interpolate: tuple[int, ...] = ()
    truncation: float = 1.0
    frames: int = 25
    scale: int = 0
    limit: int = limits.GENERATED
    force: bool = False

    def __post_init__(self):
        number("--truncation", self.truncation, None, float, 0, limits.TRUNCATION)
        number("--scale", self.scale, None, int, 0, limits.SCALE)
        number("--limit", self.limit, None, int, 1, limits.GENERATED_MOST)
        number("--frames", self.frames, None, int, 2, limits.GENERATED_MOST)
        check_way(self.interpolate)
        _check_distinct("--seeds", self.seeds)
        _check_distinct("--fill", self.fill)
        self._check_count()
        if self.out is not None:
            _check_out(self.out, self.force)
        check_file(self.model, "--model", "a generator's .keras file")

    def _check_count(self):
        wanted = {
            "--seeds": 0 if self.interpolate or self.fill or self.latents else len(self.seeds),
            "--fill": len(self.fill),
            "--interpolate": (len(self.interpolate) - 1) * (self.frames - 1),
        }
        for flag, count in wanted.items():
            if count > self.limit:
                raise UserError(
                    f"{flag}: asks for {count:,} pictures, {self.limit:,} at most in one command; "
                    "--limit raises this"
                )


def check_way(seeds: Sequence[int]):
    """Refuse an interpolation that leads nowhere."""
    if len(seeds) == 1:
        raise UserError("--interpolate: got one seed, expected two or more, such as 3,17,42")


def _check_distinct(flag, values):
    """Each value names a file."""
    if not isinstance(values, range) and len(set(values)) < len(values):
        seen = set()
        again = next(value for value in values if value in seen or seen.add(value))
        raise UserError(f"{flag}: names {again} twice; its picture is the same: name each once")


def _check_out(out, force):
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"--out {out}: this is a file, expected a folder")
    if any(out.iterdir()) and not force:
        raise UserError(
            f"--out {out}: has files already; name another folder, or add --force "
            "to replace those of the same names"
        )


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
