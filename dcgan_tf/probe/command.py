"""Classify labeled images by D's features: `python -m dcgan_tf.probe --run DIR`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import runs
from dcgan_tf.common.cli import (
    Parser,
    at_home,
    check_choice,
    check_scikit_learn,
    number,
)
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import check_way
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.pretrained import home_of, pretrained
from dcgan_tf.common.runs import Run

PICTURES = 20_000
FEWEST = 100  # pictures; of fewer the interval is wider than what is measured


@dataclass(frozen=True)
class ProbeRequest:
    """What one call asks for.

    Attributes:
        run: whose settings say what D was trained on; model: D's file; out: the record's file.
        data, dataset, crop: labelled pictures, None as the run has it.
        pictures: so many, or all of hardly more; seed: of that choice and of the split.
        packs: where pictures are kept prepared, None as the run has it.
    """

    run: Run
    model: Path
    out: Path
    data: str | None = None
    dataset: str | None = None
    crop: str | None = None
    pictures: int = PICTURES
    seed: int = 0
    packs: str | None = None


MOST = 200_000
LABELLED = tuple(name for name in DATASETS if name != "demo")


def parse_probe(argv: Sequence[str] | None = None) -> ProbeRequest:
    """Read the command line, without importing TensorFlow.

    Raises:
        UserError: an unknown flag, an unreadable value, no such discriminator.
    """
    args = _parser().parse_args(argv)
    check_scikit_learn("the probe")
    check_choice("--dataset", args.dataset, LABELLED)
    given = {
        name: at_home(f"--{name}", getattr(args, name))
        for name in ("data", "packs")
        if getattr(args, name) is not None
    }
    given["pictures"] = number("--pictures", args.pictures, PICTURES, int, FEWEST, MOST)
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
    if args.dataset is None and own not in LABELLED:
        raise UserError(
            f"trained on {own}, whose pictures are drawn and of no class; say which pictures to "
            f"take with --data PATH and what they are with --dataset {'|'.join(LABELLED)}",
            flag=f"{flag} {model}",
        )
    out = runs.Run(home_of(model)).probe if args.out is None else Path(at_home("--out", args.out))
    _check_out(out)
    return ProbeRequest(run, model, out, dataset=args.dataset, crop=args.crop, **given)


def _parser():
    parser = Parser(
        prog="python -m dcgan_tf.probe",
        description="Classify labelled pictures by what the discriminator sees in them: a linear "
        "classifier on its pooled features, beside one on pixels (Radford et al. 2015, section 5).",
        epilog="example: python -m dcgan_tf.probe --run runs/0001-mnist --data data/mnist",
        argument_default=None,
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run", metavar="DIR", help="the run whose discriminator it is [newest]")
    where.add_argument("--model", metavar="FILE", help="a discriminator beside its config.toml")
    where.add_argument("--pretrained", metavar="NAME", help="one that comes with the package")
    add = parser.add_argument
    add("--data", metavar="PATH", help="labelled pictures [the run's]: MNIST's or CIFAR-10's "
        "files, or a folder or zip with one folder a class")  # fmt: skip
    add("--dataset", metavar="|".join(LABELLED), help="what they are [as in the run]")
    add("--crop", metavar="BOX", help="left,upper,right,lower or center [the data set's]")
    add("--pictures", metavar="N", help=f"so many by --seed, or all of hardly more [{PICTURES:,}]")
    add("--seed", metavar="N", help="of that choice, and of which pictures are the test [0]")
    add("--out", metavar="FILE", help="the record [probe.json in the run's directory]")
    add("--packs", metavar="DIR", help="where prepared pictures are kept [as in the run]")
    return parser


def _find_model(args):
    """The flag that named it, and D's file."""
    if args.model is not None:
        return "--model", Path(at_home("--model", args.model))
    if args.pretrained is not None:
        return "--pretrained", pretrained(args.pretrained, "--pretrained").discriminator
    if args.run is None:
        return "--run", runs.newest().discriminator
    return "--run", runs.existing(runs.Run(at_home("--run", args.run))).discriminator


def _check_out(out):
    """Refuse what is in the record's way now: it is written last, after minutes."""
    if out.is_dir():
        raise UserError(
            f"a folder; expected the name of a file, such as {out}/probe.json", flag=f"--out {out}"
        )
    check_way(out.parent, f"--out {out}")
