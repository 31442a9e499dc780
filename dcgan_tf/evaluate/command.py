"""Score a run, or two sets of images: `python -m dcgan_tf.evaluate --run DIR`."""

from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import limits, runs
from dcgan_tf.common.cli import Parser, at_home, check_choice, number
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.limits import counted
from dcgan_tf.common.resolve import check_crop
from dcgan_tf.common.runs import Run
from dcgan_tf.common.suggestions import typed


@dataclass(frozen=True)
class EvaluationRequest:
    """The command line, read and checked."""

    places: tuple[str, ...] = ()  # folders or zips A (real) and B (scored), or runs to list
    listing: bool = False  # print the scores that runs already have
    run: Run | None = None  # whose generator is scored
    data: str | None = None  # where the run's images are, or other ones; None as the run has it
    against: str | None = None  # one of AGAINST; None for what the data tells
    samples: int = 0  # images a side, 0 for as many as leave a baseline
    layer: str | None = None  # one of LAYERS; None for the deepest that the weights reach
    inception: str | None = None  # file of the weights, None to download them
    reference: str | None = None  # file of statistics in the place of real images
    save_reference: str | None = None  # file for the statistics of the reference set
    seed: int = 0  # of the choice of images, 0..2**32-1
    crop: str = "center"  # of A, "center" or a box
    scored_crop: str = "center"  # of B
    size: int = 64  # height and width of A and B after the crop
    memorisation: bool = False  # look for copies instead
    json: bool = False  # print the record as one line
    cache: str | None = None  # folder for features, None for the usual one
    packs: str | None = None  # folder for prepared images, None for the usual one


def without_flag(opens, *args):
    """Call `opens`, whose errors are about --data; here the place was given without a flag."""
    try:
        return opens(*args)
    except UserError as error:
        raise UserError(error.message, flag=error.flag.removeprefix("--data ")) from None


LAYERS = ("pool_3", "mixed_7")
AGAINST = ("subset", "rest", "data")


def parse_evaluation(argv: list[str] | None = None) -> EvaluationRequest:
    """Read the command line, without importing TensorFlow.

    Raises:
        UserError: an unknown flag, an unreadable value, flags that exclude each other, no such run.
    """
    args = _parser().parse_args(argv)
    for name in ("run", "data", "inception", "cache", "packs", "reference", "save_reference"):
        if getattr(args, name) is not None:
            setattr(args, name, at_home(f"--{name.replace('_', '-')}", getattr(args, name)))
    args.places = [at_home("place", place) for place in args.places]
    check_choice("--features", args.features, LAYERS)
    check_choice("--against", args.against, AGAINST)
    if args.inception is not None:
        check_file(Path(args.inception), "--inception", ".tgz or .npz")
    if args.list:
        _refuse(args, set(vars(args)) - {"list", "places", "run"}, "does not go with --list")
        folders = args.places + ([args.run] if args.run else [])
        return EvaluationRequest(tuple(folders or [str(runs.newest().root)]), listing=True)
    most = limits.HELD_SAMPLES if args.memorisation else limits.SAMPLES
    return EvaluationRequest(
        samples=_whole("--samples", args.samples, 0, 2, most),
        seed=_whole("--seed", args.seed, 0, 0, limits.SEED),
        layer=args.features,
        inception=args.inception,
        json=args.json,
        cache=args.cache,
        packs=args.packs,
        reference=args.reference,
        save_reference=args.save_reference,
        **(_of_places if args.places else _of_run)(args),
    )


def _parser():
    parser = Parser(
        prog=typed("evaluate"),
        description="Score images against real ones: FID, KID, Inception Score, precision and "
        "recall. Each stands beside its baseline, what real images score against other real "
        "images. See docs/evaluation.md.",
        epilog=f"example: {typed('evaluate')} A.zip B.zip --crop 30,55,150,175 --json",
        argument_default=None,
    )
    add = parser.add_argument
    add("places", nargs="*", help="instead of a run: folders or zips A (real) and B (scored)")
    add("--run", metavar="DIR", help="the run whose generator is scored [the newest]")
    add("--data", metavar="PATH", help="where the run's images are now, or other real images")
    add("--against", metavar="|".join(AGAINST), help="the reference set: the images that the run "
        "was trained on, the rest of their archive, or those of --data [subset, unless --data has "
        "other images]")  # fmt: skip
    add("--samples", metavar="N", help="number of generated and of real images [10,000, or as many "
        "as leave others for the baseline]")  # fmt: skip
    add("--features", metavar="|".join(LAYERS), help="layer of Inception: pool_3 for FID, mixed_7 "
        "for FID-768 [pool_3 if the weights reach it]")  # fmt: skip
    add("--inception", metavar="PATH", help="weights of Inception, .tgz or .npz [downloaded once]")
    add("--reference", metavar="FILE", help="compare with the statistics in an .npz of mu and "
        "sigma, as pytorch-fid writes it, not with images: Fréchet distance alone")  # fmt: skip
    add("--save-reference", metavar="FILE", help="write the reference set's statistics as such "
        "an .npz")  # fmt: skip
    add("--seed", metavar="N", help="seed that chooses the images [0]")
    add("--crop", metavar="BOX", help="crop of A and B: left,upper,right,lower or center [center]")
    add("--scored-crop", metavar="BOX", help="crop of B, if it is another one")
    add("--size", metavar="N", help="height and width of A and B after the crop, pixels [64]")
    for flag, words in (
        ("--memorisation", "look for copies of training images among generated ones instead"),
        ("--list", "print the scores that runs already have"),
        ("--json", "print the record as one line of JSON"),
    ):
        add(flag, action="store_true", default=False, help=words)
    add("--cache", metavar="DIR", help="where features are kept [features/ next to the packs]")
    add("--packs", metavar="DIR", help="where prepared images are kept [data/packs, or the run's]")
    return parser


def _refuse(args, names, why):
    """Refuse flags that do not go with the rest of the command line."""
    for name, value in vars(args).items():
        if name in names and value not in (None, False):
            raise UserError(f"--{name.replace('_', '-')}: {why}; drop one of the two")


def _whole(flag, text, default, low, high):
    return default if text is None else number(flag, text, default, int, low, high)


def _of_places(args):
    """Check and return what belongs to two places."""
    _refuse(args, ("run", "data", "against", "reference"), "belongs to a run, not to two folders")
    if args.memorisation:
        raise UserError("--memorisation: needs a run, with --run DIR")
    if len(args.places) != 2:
        raise UserError(
            f"got {counted(len(args.places), 'place')}, expected two, A and B, or --run DIR"
        )
    for place in args.places:
        if not Path(place).exists():
            raise UserError(f"{place}: no such file or folder")
    crop = check_crop(args.crop or "center")
    return {
        "places": tuple(args.places),
        "size": _whole("--size", args.size, 64, 4, limits.SCORED_SIZE),
        "crop": crop,
        "scored_crop": check_crop(args.scored_crop or crop, "scored_crop"),
    }


def _of_run(args):
    """Check and return what belongs to a run."""
    _refuse(args, ("crop", "scored_crop", "size"), "a run has its own, only two folders need it")
    if args.reference:
        others = ("data", "against", "features", "save_reference", "memorisation")
        _refuse(args, others, "does not go with --reference")
    if args.against == "data" and not args.data:
        raise UserError("--against data: needs --data PATH, the archive to compare with")
    run = runs.existing(runs.Run(args.run)) if args.run else runs.newest()
    for path, words in (
        (run.config, "no config.toml, so it is no run"),
        (run.generator, "no generator.keras; it appears with the first checkpoint"),
    ):
        if not path.is_file():
            raise UserError(f"--run {run.root}: {words}")
    if (side := read_config(run.config).image_size) > limits.SCORED_SIZE:
        raise UserError(
            f"--run {run.root}: images of {side:,} pixels, {limits.SCORED_SIZE:,} at most can be "
            "scored"
        )
    names = ("data", "against", "memorisation")
    return {"run": run, **{name: getattr(args, name) for name in names}}
