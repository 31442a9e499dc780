"""Classify labeled images by D's features: `python -m dcgan_tf.probe --run DIR`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcgan_tf.common import runs
from dcgan_tf.common.cli import Parser, at_home, check_choice, check_scikit_learn, number
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import check_way
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.pretrained import home_of, pretrained
from dcgan_tf.common.runs import Run

IMAGES, MOST = 20_000, 200_000
FEWEST = 100  # images; of fewer the interval is wider than what is measured
LABELED = tuple(name for name in DATASETS if name != "demo")


@dataclass(frozen=True)
class ProbeRequest:
    """The flags of one call; None stands for what belongs to the run."""

    run: Run  # whose settings say what D was trained on
    model: Path
    out: Path
    data: str | None = None
    dataset: str | None = None
    crop: str | None = None
    pictures: int = IMAGES
    seed: int = 0
    packs: str | None = None


def parse_probe(argv: Sequence[str] | None = None) -> ProbeRequest:
    """Read the command line, without importing TensorFlow.

    Raises:
        UserError: an unknown flag, an unreadable value, no such discriminator.
    """
    args = _parser().parse_args(argv)
    check_scikit_learn("the probe")
    check_choice("--dataset", args.dataset, LABELED)
    given: dict[str, Any] = {
        name: at_home(f"--{name}", getattr(args, name))
        for name in ("data", "packs")
        if getattr(args, name) is not None
    }
    given["pictures"] = number("--pictures", args.pictures, IMAGES, int, FEWEST, MOST)
    given["seed"] = number("--seed", args.seed, 0, int, 0, 2**32 - 1)
    flag, model = _find_model(args)
    run = runs.Run(model.parent)
    check_file(model, flag, "a run's discriminator.keras")
    if not run.config.is_file():
        raise UserError(
            "no config.toml beside it, which says what the numbers of its pixels mean; "
            "expected the discriminator.keras of a run",
            flag=f"{flag} {model}",
        )
    own = read_config(run.config).dataset
    if args.dataset is None and own not in LABELED:
        raise UserError(
            f"trained on {own}, whose images are drawn and of no class; say which images to "
            f"take with --data PATH and what they are with --dataset {'|'.join(LABELED)}",
            flag=f"{flag} {model}",
        )
    out = runs.Run(home_of(model)).probe if args.out is None else Path(at_home("--out", args.out))
    if out.is_dir():  # refused now: the record is written last, after minutes
        raise UserError(
            f"a folder; expected the name of a file, such as {out}/probe.json", flag=f"--out {out}"
        )
    check_way(out.parent, f"--out {out}")
    return ProbeRequest(run, model, out, dataset=args.dataset, crop=args.crop, **given)


def _parser():
    parser = Parser(
        prog="python -m dcgan_tf.probe",
        description="Classify labeled images by discriminator features: a linear classifier on "
        "D's pooled maps, and as the baseline one on pixels (Radford et al. 2015, section 5).",
        epilog="example: python -m dcgan_tf.probe --run runs/0001-mnist --data data/mnist",
        argument_default=None,
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run", metavar="DIR", help="the run whose discriminator it is [newest]")
    where.add_argument("--model", metavar="FILE", help="a discriminator beside its config.toml")
    where.add_argument("--pretrained", metavar="NAME", help="one that comes with the package")
    add = parser.add_argument
    add("--data", metavar="PATH", help="labeled images [the run's]: MNIST's or CIFAR-10's files, "
        "or a folder or zip with one folder a class")  # fmt: skip
    add("--dataset", metavar="|".join(LABELED), help="kind of data set [as in the run]")
    add("--crop", metavar="BOX", help="left,upper,right,lower or center [the data set's]")
    add("--pictures", metavar="N", help=f"number of images, chosen by --seed [{IMAGES:,}]")
    add("--seed", metavar="N", help="seed of that choice and of the split into sets [0]")
    add("--out", metavar="FILE", help="the record [probe.json in the run's directory]")
    add("--packs", metavar="DIR", help="where packs of the images are kept [as in the run]")
    return parser


def _find_model(args):
    """Find the flag that named it, and D's file."""
    if args.model is not None:
        return "--model", Path(at_home("--model", args.model))
    if args.pretrained is not None:
        return "--pretrained", pretrained(args.pretrained, "--pretrained").discriminator
    if args.run is None:
        return "--run", runs.newest().discriminator
    return "--run", runs.existing(runs.Run(at_home("--run", args.run))).discriminator
