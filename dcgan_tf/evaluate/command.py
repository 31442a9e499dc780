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
    """The command line, read and checked.

    Attributes:
        places: folders or zips A (real) and B (scored), or with `listing` the runs; else empty.
        listing: print the scores that runs already have.
        run: whose generator is scored, or None.
        data: where the run's pictures are, or other ones; None as the run has it.
        against: "subset", "rest", "data", or None for what the data tells.
        samples: pictures a side, 0 for as many as leave a floor.
        layer: "pool_3", "mixed_7", or None for the deepest that the weights reach.
        inception: file of the weights, or None to download them.
        seed: which pictures are drawn, 0..2**32-1.
        crop, scored_crop: of A and B, "center" or a box; size: their height and width after it.
        memorisation: look for copies instead.
        json: print the record as one line.
        cache: folder for features, packs: for prepared pictures; None for the usual ones.
    """

    places: tuple[str, ...] = ()
    listing: bool = False
    run: Run | None = None
    data: str | None = None
    against: str | None = None
    samples: int = 0
    layer: str | None = None
    inception: str | None = None
    seed: int = 0
    crop: str = "center"
    scored_crop: str = "center"
    size: int = 64
    memorisation: bool = False
    json: bool = False
    cache: str | None = None
    packs: str | None = None


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
    for name in ("run", "data", "inception", "cache", "packs"):
        if getattr(args, name) is not None:
            setattr(args, name, at_home(f"--{name}", getattr(args, name)))
    args.places = [at_home("place", place) for place in args.places]
    check_choice("--features", args.features, LAYERS)
    check_choice("--against", args.against, AGAINST)
    if args.inception is not None:
        check_file(Path(args.inception), "--inception", ".tgz, .pb or .npz")
    common = {
        "samples": _whole("--samples", args.samples, 0, 2, _most_samples(args)),
        "seed": _whole("--seed", args.seed, 0, 0, limits.SEED),
        "layer": args.features,
        "inception": args.inception,
        "json": args.json,
        "cache": args.cache,
        "packs": args.packs,
    }
    if args.list:
        _refuse_beside_list(args)
        folders = args.places + ([args.run] if args.run else [])
        folders = folders or [str(runs.newest().root)]
        return EvaluationRequest(tuple(folders), listing=True)
    return EvaluationRequest(**common, **(_of_places if args.places else _of_run)(args))


def _parser():
    parser = Parser(
        prog=typed("evaluate"),
        description="FID, KID, Inception Score, precision and recall, each with its protocol and "
        "with what real pictures score against real ones. See docs/evaluation.md.",
        epilog=f"example: {typed('evaluate')} A.zip B.zip --crop 30,55,150,175 --json",
        argument_default=None,
    )
    add = parser.add_argument
    add("places", nargs="*", help="instead of a run: folders or zips A (real) and B (scored)")
    add("--run", metavar="DIR", help="the run whose generator is scored; newest if none is named")
    add(
        "--data", metavar="PATH", help="where the run's pictures are now, or other ones (--against)"
    )
    add(
        "--against",
        metavar="|".join(AGAINST),
        help="the training subset, the rest of its archive, "
        "or --data as an archive of its own; subset, unless --data has other pictures",
    )
    add("--samples", metavar="N", help="pictures a side; up to 10,000, as many as leave a floor")
    add(
        "--features",
        metavar="|".join(LAYERS),
        help="layer; mixed_7 gives FID-768; pool_3 where the weights reach it",
    )
    add("--inception", metavar="PATH", help="Inception weights: .tgz, .pb or .npz; else downloaded")
    add("--seed", metavar="N", help="which pictures are drawn; 0")
    add("--crop", metavar="BOX", help="A and B: left,upper,right,lower or center; center")
    add("--scored-crop", metavar="BOX", help="B, where it needs another crop than A")
    add("--size", metavar="N", help="A and B: height and width after the crop; 64")
    for flag, words in (
        ("--memorisation", "each sample's nearest training picture instead"),
        ("--list", "print the scores that runs already have"),
        ("--json", "the record as one line on stdout"),
    ):
        add(flag, action="store_true", default=False, help=words)
    add("--cache", metavar="DIR", help="where features are kept; features/ beside the packs")
    add("--packs", metavar="DIR", help="where prepared pictures are kept; data/packs or the run's")
    return parser


def _refuse_beside_list(args):
    for name, value in vars(args).items():
        if value not in (None, False) and name not in ("list", "places", "run"):
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag}: does not go with --list, which scores nothing; drop one")


def _most_samples(args):
    return limits.HELD_SAMPLES if args.memorisation else limits.SAMPLES


def _whole(flag, text, default, low, high):
    """int: the value of a flag between `low` and `high`, `default` where it was not given."""
    if text is None:
        return default
    value = number(flag, text, default, int, low)
    if value > high:
        raise UserError(f"{flag}: got {text[:30]}, expected {high:,} or less")
    return value


def _of_places(args):
    """dict: what belongs to two places, checked."""
    for name in ("run", "data", "against"):
        if getattr(args, name) is not None:
            raise UserError(f"--{name}: belongs to a run, not to two folders; drop one of the two")
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
    """dict: what belongs to a run, checked."""
    for name in ("crop", "scored_crop", "size"):
        if getattr(args, name) is not None:
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag}: a run has its own; it belongs to two folders, A and B")
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
            f"--run {run.root}: pictures of {side:,} pixels, {limits.SCORED_SIZE:,} at most can be "
            "scored"
        )
    return {
        "run": run,
        "data": args.data,
        "against": args.against,
        "memorisation": args.memorisation,
    }
