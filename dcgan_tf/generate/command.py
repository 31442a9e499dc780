"""Generate images: `dcgan generate RUN`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.animations import FRAMES, check_animation
from dcgan_tf.common.cli import Parser, number, parse_seeds, path
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.pretrained import add_generator_flags, find_generator

GENERATED_MOST = 10_000_000  # files in one folder
SCALE = 64  # pixels that one pixel is enlarged to


@dataclass(frozen=True)
class GenerationRequest:
    """The command line, read and checked; `latents`, `fill` or `interpolate` replaces `seeds`."""

    model: Path
    out: Path | None = None  # None: the next free folder of the run
    seeds: Sequence[int] = range(64)
    counted: bool = True  # the seeds stand for a number of images, which classes share
    label: str | None = None
    latents: Path | None = None
    fill: tuple[float, ...] = ()
    interpolate: tuple[int, ...] = ()
    truncation: float = 1.0
    frames: int = 25
    format: str = "gif"  # of the animation
    scale: int = 0  # which chooses
    limit: int = limits.GENERATED
    force: bool = False


def parse_generation(argv: Sequence[str] | None = None) -> GenerationRequest:
    """Read the command line, without TensorFlow."""
    args = _parser().parse_args(argv)
    limit = args.limit
    check_count("--n", args.n or 0, limit)
    check_count("--fill", len(args.fill), limit)
    if args.label is not None and (args.fill or args.latents):
        raise UserError(
            "belongs to seeds; latents from --latents and --fill end in their own labels",
            flag=f"--label {args.label}",
        )
    seeds = range(args.n or 64)
    if args.seeds is not None:
        seeds = list(dict.fromkeys(parse_seeds("--seeds", args.seeds, limit)))
    way = ()
    if args.interpolate is not None:
        way = tuple(parse_seeds("--interpolate", args.interpolate, limit))
        if len(way) == 1:
            got = "got one seed, expected two or more, such as 3,17,42"
            raise UserError(got, flag="--interpolate")
        legs = len(way) - (way[0] == way[-1])  # with that back to the first
        check_count("--interpolate", legs * (args.frames - 1), limit)
    check_animation(args.format, "--format")
    if args.out is not None:
        check_out(args.out, args.force)
    if args.latents is not None:
        check_file(args.latents, "--latents", "a .npy file")
    # Last, so that a mistyped flag is refused before a model is looked for.
    model = find_generator(args)
    check_file(model, "", "a generator's .keras file")
    names = ("label", "out", "latents", "fill", "truncation", "frames", "format", "limit", "force")
    given = {name: getattr(args, name) for name in names}
    given |= {"counted": args.seeds is None, "interpolate": way, "scale": args.scale or 0}
    return GenerationRequest(model, seeds=seeds, **given)


def _parser():
    parser = Parser(
        "generate",
        "Generate images with a trained generator: single PNGs and a grid of them.",
        {
            "faces --truncation 0.7": "64 faces from the bundled generator",
            "latest --seeds 0-7,100": "images of these seeds from the newest run",
            "1 --interpolate 3,17,42": "a GIF from seed to seed",
        },
    )
    add_generator_flags(parser)
    what = parser.add_mutually_exclusive_group()
    add = what.add_argument
    add("--n", type=number(int, 1), metavar="N", help="number of images, from seeds 0 to N-1 [64]")
    add("--seeds", metavar="LIST", help="images of these seeds, such as 0-63,100")
    add("--latents", type=path, metavar="FILE", help="latents from a .npy file (n, latent_dim)")
    add("--fill", type=_constants, default=(), metavar="X,..", help="constant latents: 0,0.5,1")
    add(
        "--interpolate",
        metavar="SEEDS",
        help="an animation from seed to seed and back, and a strip: 3,17,42",
    )
    add = parser.add_argument
    add("--label", metavar="LABEL", help="what to draw, of a generator with labels: 7, cat or "
        "Smiling=1,Male=0 [every class]")  # fmt: skip
    add("--truncation", type=number(float, 0, limits.TRUNCATION), default=1.0, metavar="T",
        help="factor on the latents; 0.7 trades variety for quality")  # fmt: skip
    add("--frames", type=number(int, 2, GENERATED_MOST), default=25, metavar="N",
        help="frames from one seed to the next, both ends counted")  # fmt: skip
    add("--format", choices=tuple(FRAMES), default="gif",
        help="of the animation of --interpolate [gif]")  # fmt: skip
    add("--scale", type=number(int, 1, SCALE), metavar="N", help="enlarge grid, "
        "strip and GIF N times, not single images [until a grid is 500 pixels wide]")  # fmt: skip
    add("--limit", type=number(int, 1, GENERATED_MOST), default=limits.GENERATED,
        metavar="N", help="largest number of images in one command")  # fmt: skip
    add("--out", type=path, metavar="DIR", help="where to write [a new folder in the run]")
    add("--force", action="store_true", help="write into a folder that has files")
    return parser


def check_count(flag, count, limit):
    if count > limit:
        most = f"{limit:,} at most in one command; --limit raises this"
        raise UserError(f"asks for {limits.shown(count)} images, {most}", flag=flag)


def _constants(text):
    return tuple(dict.fromkeys(map(number(float), text.split(","))))


def check_out(out: Path, force: bool):
    """Refuse a folder that has files, unless they may be replaced."""
    where = f"--out {out}"
    if out.exists() and not out.is_dir():
        raise UserError("this is a file, expected a folder", flag=where)
    if out.exists() and any(out.iterdir()) and not force:
        message = "has files already; name another folder, or add --force to write into it"
        raise UserError(message, flag=where)
