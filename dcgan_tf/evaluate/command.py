"""Score a run, or two sets of images: `dcgan evaluate RUN`."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import hub, limits, runs
from dcgan_tf.common.cli import Parser, number, path_text
from dcgan_tf.common.config import check_crop
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import check_way
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.runs import Run
from dcgan_tf.common.suggestions import typed

HELD_SAMPLES = 50_000  # with --memorization, which keeps them in memory: 0.6 GB at 64x64
SCORED_SIZE = 1024  # largest side in pixels; the network resizes to 299


@dataclass(frozen=True)
class EvaluationRequest:
    """The command line, read and checked."""

    places: tuple[str, ...] = ()  # folders or zips A (real) and B (scored), or runs to list
    list: bool = False  # print the scores that runs already have
    run: Run | None = None  # whose generator is scored
    data: str | None = None  # the run's images or other ones; None: the run's path
    against: str | None = None  # one of AGAINST; None: decided by the data
    samples: int = 0  # images per side; 0: as many as leave a baseline
    features: str | None = None  # one of LAYERS; None: the deepest that the weights reach
    inception: str | None = None  # file of the weights; None: download
    reference: str | None = None  # file of statistics instead of real images
    save_reference: str | None = None  # file for the statistics of the reference set
    seed: int = 0  # of the choice of images, 0..2**32-1
    crop: str = "center"  # of A, "center" or a box
    scored_crop: str = "center"  # of B
    size: int = 64  # height and width of A and B after the crop
    memorization: bool = False  # look for copies instead
    json: bool = False  # print the record as one line
    cache: str | None = None  # folder for features; None: the usual one
    packs: str | None = None  # folder for prepared images; None: the usual one


def without_flag(opens, *args):
    """Call `opens` and drop --data from its errors, for a place given without a flag."""
    try:
        return opens(*args)
    except UserError as error:
        raise UserError(error.message, flag=error.flag.removeprefix("--data ")) from None


LAYERS = ("pool_3", "mixed_7")
AGAINST = ("subset", "rest", "data")


def parse_evaluation(argv: list[str] | None = None) -> EvaluationRequest:
    """Read the command line, without TensorFlow; UserError says what is wrong with it."""
    args = _parser().parse_args(argv)
    _check_files(args)
    if args.list:
        _refuse(args, set(vars(args)) - {"list", "places", "run"}, "does not go with --list")
        words = [*args.places, args.run] if args.run else args.places or ["latest"]
        folders = tuple(str(runs.find(word).root) for word in words)
        return EvaluationRequest(folders, list=True)
    if args.memorization and (args.samples or 0) > HELD_SAMPLES:
        most = f"{HELD_SAMPLES:,} at most with --memorization, which keeps them in memory"
        raise UserError(f"got {args.samples}, expected {most}", flag="--samples")
    found = (_check_places if len(args.places) > 1 else _check_run)(args)
    named = {name: value for name, value in vars(args).items() if value is not None}
    return EvaluationRequest(**{name: v for name, v in named.items() if name != "list"} | found)


def _check_files(args):
    """Check files before a download and minutes of work."""
    if args.inception is not None:
        check_file(Path(args.inception), "--inception", ".tgz or .npz")
    if args.reference is not None:
        check_file(Path(args.reference), "--reference", "an .npz with mu and sigma")
    if (out := args.save_reference) is not None:
        if Path(out).is_dir():
            raise UserError("a folder, expected the name of a file", flag=f"--save-reference {out}")
        check_way(Path(out).parent, f"--save-reference {out}")


def refuse_all_seen(where: object, memorization: bool):
    """Raise UserError for a run that was trained on all images and needs others."""
    flag, other = ("--memorization", "") if memorization else ("--against rest", "--against data ")
    raise UserError(
        f"needs images that were not used for training, but this run was trained on all of {where};"
        f" name others with {other}--data PATH",
        flag=flag,
    )


def _parser():
    parser = Parser(
        "evaluate",
        "Score images against real ones: FID, KID, Inception Score, precision and recall. Each "
        "score is shown with its baseline: what real images score against other real images. See "
        "docs/evaluation.md.",
        {
            "latest --against rest": "the newest run against real images it has not seen",
            "latest --memorization": "does it copy its training images?",
            "A.zip B.zip --crop 30,55,150,175": "images in B against real ones in A",
        },
    )
    add = parser.add_argument
    add("places", type=path_text, nargs="*", metavar="RUN | A B", help="a run (directory, name or "
        "number in runs/) [latest], or folders or zips A (real) and B (scored)")  # fmt: skip
    add("--run", type=path_text, metavar="RUN", help="the run, instead of the positional argument")
    add("--data", type=path_text, metavar="PATH", help="the run's images if they were moved, or "
        "other images (--against data)")  # fmt: skip
    add("--against", choices=AGAINST, help="reference set: the training images, the "
        "rest of their archive, or the images of --data [subset; data if --data has other "
        "images]")  # fmt: skip
    add("--samples", type=number(int, 2, limits.SAMPLES), metavar="N", help="number of generated "
        "and of real images [10,000, or fewer to leave some for the baseline]")  # fmt: skip
    add("--features", choices=LAYERS, help="layer of Inception: pool_3 for FID, mixed_7 for "
        "FID-768 [pool_3 if the weights reach it]")  # fmt: skip
    add("--inception", type=path_text, metavar="PATH", help="Inception weights, .tgz or .npz "
        "[downloaded]")  # fmt: skip
    add("--reference", type=path_text, metavar="FILE", help="compare with the mu and sigma "
        "in an .npz, as written by pytorch-fid; gives only the Fréchet distance")  # fmt: skip
    add("--save-reference", type=path_text, metavar="FILE", help="write mu and sigma of the "
        "reference set to an .npz")  # fmt: skip
    add("--seed", type=number(int, 0, limits.SEED), metavar="N", help="seed that chooses the "
        "images [0]")  # fmt: skip
    add("--crop", metavar="BOX", help="crop of A and B: left,upper,right,lower or center [center]")
    add("--scored-crop", metavar="BOX", help="crop of B, if it differs from that of A")
    add("--size", type=number(int, 4, SCORED_SIZE), metavar="N", help="height and width of "
        "A and B after the crop, pixels [64]")  # fmt: skip
    for flag, words in (
        ("--memorization", "look for copies of training images instead of scoring"),
        ("--list", "print the scores that runs already have"),
        ("--json", "print the record as one line of JSON"),
    ):
        add(flag, action="store_true", default=False, help=words)
    add("--memorisation", dest="memorization", action="store_true", default=False,
        help=argparse.SUPPRESS)  # as it was called before  # fmt: skip
    add("--cache", type=path_text, metavar="DIR", help="folder that caches features "
        "[features/ next to the packs]")  # fmt: skip
    add("--packs", type=path_text, metavar="DIR", help="folder that caches prepared "
        "images [data/packs, or the run's]")  # fmt: skip
    return parser


def _refuse(args, names, why):
    for name, value in vars(args).items():
        if name in names and value not in (None, False):
            raise UserError(f"--{name.replace('_', '-')}: {why}; drop one of the two")


def _check_places(args):
    """Check the flags for two places; return their fields of EvaluationRequest."""
    _refuse(args, ("run", "data", "against", "reference"), "belongs to a run, not to two folders")
    if args.memorization:
        raise UserError("--memorization: needs a run, not two folders")
    if len(args.places) != 2:
        raise UserError(f"got {len(args.places)} places, expected a run, or two, A and B")
    for place in args.places:
        if not (place.startswith(hub.PREFIX) or Path(place).exists()):
            raise UserError(f"{place}: no such file or folder")
        if Run(place).config.is_file():
            raise UserError(f"{place}: a run, expected images; {typed('compare')} compares runs")
    crop = check_crop(args.crop or "center")
    scored_crop = check_crop(args.scored_crop or crop, "scored_crop")
    return {"places": tuple(args.places), "crop": crop, "scored_crop": scored_crop}


def _check_run(args):
    """Check the flags for a run; return their fields of EvaluationRequest."""
    _refuse(args, ("crop", "scored_crop", "size"), "is for two folders; a run has its own")
    if args.reference:
        others = ("data", "against", "features", "save_reference", "memorization")
        _refuse(args, others, "does not go with --reference")
    if args.against == "data" and not args.data:
        raise UserError("--against data: needs --data PATH, the archive to compare with")
    if args.places and args.run:
        raise UserError(f"got {args.places[0]} as well, expected one run", flag=f"--run {args.run}")
    run = runs.find(*args.places) if args.places else runs.find(args.run or "latest", "--run")
    for file, why in (
        (run.config, "no config.toml, so it is not a run; for images give two places, A and B"),
        (run.generator, "no generator.keras; it appears with the first checkpoint"),
    ):
        if not file.is_file():
            raise UserError(f"{run.root}: {why}")
    config = read_config(run.config)
    if (side := config.image_size) > SCORED_SIZE:
        raise UserError(
            f"{run.root}: images of {side:,} pixels, {SCORED_SIZE:,} at most can be scored"
        )
    if not config.subset and (args.against == "rest" or (args.memorization and not args.data)):
        refuse_all_seen(config.data or f"the images of {config.dataset}", args.memorization)
    return {"run": run, "places": ()}
