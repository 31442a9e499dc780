"""Classify labeled images by D's features: `dcgan probe RUN`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.cli import Parser, check_scikit_learn, number, path, path_text
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.datasets import DATASETS, FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import check_way
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.pretrained import add_generator_flags, find_generator, home_of
from dcgan_tf.common.runs import Run

IMAGES, MOST = 20_000, 200_000
FEWEST = 100  # images; of fewer the interval is wider than what is measured
LABELED = tuple(name for name in DATASETS if name not in ("demo", "auto"))


@dataclass(frozen=True)
class ProbeRequest:
    """The command line, read and checked; None stands for what belongs to the run."""

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
    """Read the command line, without TensorFlow; UserError says what is wrong with it."""
    args = _parser().parse_args(argv)
    check_scikit_learn("the probe")
    model = find_generator(args, "discriminator")
    run = Run(model.parent)
    check_file(model, "", "a run's discriminator.keras")
    if not run.config.is_file():
        raise UserError(
            f"{model}: no config.toml next to it, which says the range of its pixels; expected the "
            "discriminator.keras of a run"
        )
    own = read_config(run.config)
    if args.dataset is None and own.dataset not in LABELED:
        raise UserError(
            f"{model}: trained on {own.dataset}, whose images are drawn and of no class; say which "
            f"images to take with --data PATH and what they are with --dataset {'|'.join(LABELED)}"
        )
    data = own.data if args.data is None and args.dataset in (None, own.dataset) else args.data
    if data in FETCHED:  # refused before it is
        words = "labels are read from files; give a folder with them instead"
        raise UserError(words, flag=f"--data {data}")
    out = args.out or Run(home_of(model)).probe
    if out.is_dir():  # refused now: the record is written last, after minutes
        raise UserError(
            f"a folder; expected the name of a file, such as {out}/probe.json", flag=f"--out {out}"
        )
    check_way(out.parent, f"--out {out}")
    names = ("data", "dataset", "crop", "pictures", "seed", "packs")
    return ProbeRequest(run, model, out, **{name: getattr(args, name) for name in names})


def _parser():
    parser = Parser(
        "probe",
        "Classify labeled images by discriminator features: a linear classifier on D's pooled "
        "maps, and as the baseline one on pixels (Radford et al. 2015, section 5).",
        {
            "runs/0001-mnist --data data/mnist": "a run on the digits it was trained on",
            "latest --data photos --dataset folder": "on a folder with one folder a class",
        },
    )
    add_generator_flags(parser)
    add = parser.add_argument
    add("--data", type=path_text, metavar="PATH", help="labeled images [the run's]: MNIST's or "
        "CIFAR-10's files, or a folder or zip with one folder a class")  # fmt: skip
    add("--dataset", choices=LABELED, help="kind of data set [as in the run]")
    add("--crop", metavar="BOX", help="left,upper,right,lower or center [the data set's]")
    add("--pictures", type=number(int, FEWEST, MOST), default=IMAGES, metavar="N",
        help="number of images, chosen by --seed")  # fmt: skip
    add("--seed", type=number(int, 0, limits.SEED), default=0, metavar="N",
        help="seed that chooses the images and splits them into sets")  # fmt: skip
    add("--out", type=path, metavar="FILE", help="the record [probe.json in the run's directory]")
    add("--packs", type=path_text, metavar="DIR", help="where packs of the images are kept [as in "
        "the run]")  # fmt: skip
    return parser
