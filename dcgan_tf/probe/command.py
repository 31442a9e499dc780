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
FEWEST = 100  # images; with fewer the interval is too wide
LABELED = tuple(name for name in DATASETS if name not in ("demo", "auto"))


@dataclass(frozen=True)
class ProbeRequest:
    """The command line, read and checked; None: as in the run."""

    run: Run  # with the settings of D's training
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
    check_scikit_learn()
    model = find_generator(args, "discriminator")
    run = Run(model.parent)
    check_file(model, "", "a run's discriminator.keras")
    if not run.config.is_file():
        raise UserError(
            f"{model}: no config.toml next to it for the range of its pixels; expected the "
            "discriminator.keras of a run"
        )
    own = read_config(run.config)
    if args.dataset is None and own.dataset not in LABELED:
        raise UserError(
            f"{model}: trained on {own.dataset}, whose drawn images have no labels; name labeled "
            f"images with --data PATH and their kind with --dataset {'|'.join(LABELED)}"
        )
    data = own.data if args.data is None and args.dataset in (None, own.dataset) else args.data
    if data in FETCHED:  # before the download
        words = "labels are read from files; give the folder with the files instead"
        raise UserError(words, flag=f"--data {data}")
    out = args.out or Run(home_of(model)).probe
    if out.is_dir():  # checked now, because it is written after minutes
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
        "feature maps. The baseline is one on pixels (Radford et al. 2015, section 5).",
        {
            "1 --data data/mnist": "the run on its own digits",
            "latest --data photos --dataset folder": "on your images, one folder per class",
        },
    )
    add_generator_flags(parser)
    add = parser.add_argument
    add("--data", type=path_text, metavar="PATH", help="labeled images: files of MNIST or "
        "CIFAR-10, or a folder or zip with one folder per class [those of the run]")  # fmt: skip
    add("--dataset", choices=LABELED, help="kind of data set [as in the run]")
    add("--crop", metavar="BOX", help="crop: left,upper,right,lower or center [the usual one]")
    add("--pictures", type=number(int, FEWEST, MOST), default=IMAGES, metavar="N",
        help="number of images, chosen by --seed")  # fmt: skip
    add("--seed", type=number(int, 0, limits.SEED), default=0, metavar="N",
        help="seed that chooses the images and splits them into sets")  # fmt: skip
    add("--out", type=path, metavar="FILE", help="JSON file of the results [probe.json in the run]")
    add("--packs", type=path_text, metavar="DIR", help="folder that caches prepared images "
        "[as in the run]")  # fmt: skip
    return parser
