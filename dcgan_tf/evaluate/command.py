"""Score a run, or two folders of pictures: `python -m dcgan_tf.evaluate --run DIR`."""

from pathlib import Path

from dcgan_tf.common import runs
from dcgan_tf.common.cli import Parser, check_choice, leave, number, run_command, typed
from dcgan_tf.common.config import check_crop
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.log import speak

LAYERS = ("pool_3", "mixed_7")
AGAINST = ("subset", "rest", "data")


def parse_evaluation(argv=None):
    """Read the command line, without importing TensorFlow.

    Returns:
        argparse.Namespace.

    Raises:
        UserError: an unknown flag, an unreadable value, flags that exclude each other, no such run.
    """
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
    add(
        "--memorisation",
        action="store_true",
        default=False,
        help="each sample's nearest training picture instead",
    )
    add(
        "--list", action="store_true", default=False, help="print the scores that runs already have"
    )
    add("--json", action="store_true", default=False, help="the record as one line on stdout")
    add("--cache", metavar="DIR", help="where features are kept; features/ beside the packs")
    add("--packs", metavar="DIR", help="where prepared pictures are kept; data/packs or the run's")
    args = parser.parse_args(argv)
    args.samples = number("--samples", args.samples, 0, int, 2) if args.samples else 0
    args.seed = number("--seed", args.seed, 0, int, 0)
    check_choice("--features", args.features, LAYERS)
    check_choice("--against", args.against, AGAINST)
    if args.inception is not None and not Path(args.inception).is_file():
        raise UserError(f"--inception {args.inception}: no such file; expected .tgz, .pb or .npz")
    if args.list:
        args.places = args.places + ([args.run] if args.run else [])
        args.places = args.places or [str(runs.newest().root)]
    elif args.places:
        _check_places(args)
    else:
        _check_run(args)
    return args


def _check_places(args):
    for name in ("run", "data", "against"):
        if getattr(args, name) is not None:
            raise UserError(f"--{name}: belongs to a run, not to two folders; drop one of the two")
    if args.memorisation:
        raise UserError("--memorisation: needs a run, with --run DIR")
    if len(args.places) != 2:
        raise UserError(f"got {len(args.places)} places, expected two, A and B, or --run DIR")
    for place in args.places:
        if not Path(place).expanduser().exists():
            raise UserError(f"{place}: no such file or folder")
    args.size = number("--size", args.size, 64, int, 4)
    args.crop = _crop("--crop", args.crop or "center")
    args.scored_crop = _crop("--scored-crop", args.scored_crop or args.crop)


def _crop(flag, text):
    return text if text == "center" else check_crop(text, flag)


def _check_run(args):
    for name in ("crop", "scored_crop", "size"):
        if getattr(args, name) is not None:
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag}: a run has its own; it belongs to two folders, A and B")
    if args.against == "data" and not args.data:
        raise UserError("--against data: needs --data PATH, the archive to compare with")
    run = runs.Run(args.run) if args.run else runs.newest()
    for path, words in (
        (run.config, "no config.toml, so it is no run"),
        (run.generator, "no generator.keras; it appears with the first checkpoint"),
    ):
        if not path.is_file():
            raise UserError(f"--run {run.root}: {words}")
    args.run = run


def main(argv=None):
    args = parse_evaluation(argv)
    if args.list:
        from dcgan_tf.evaluate.table import list_runs

        return list_runs(args.places)
    speak("stderr" if args.json else "stdout")
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    from dcgan_tf.evaluate import evaluation, memorisation

    return (memorisation.examine if args.memorisation else evaluation.evaluate)(args)


def run():
    """The command `python -m dcgan_tf.evaluate`, or `dcgan-evaluate`."""
    leave(run_command(main))
