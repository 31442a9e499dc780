"""Find directions in a latent space: `dcgan directions RUN`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.cli import Parser, check_scikit_learn, number, path, path_text
from dcgan_tf.common.config import Config, check_crop
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import check_way
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.pretrained import add_generator_flags, find_generator, home_of
from dcgan_tf.common.runs import Run, run_of

SAMPLES = 20_000  # generated images that are scored
SAMPLES_LEAST = 2000  # more than twice the longest latent allowed
MOST = 64  # directions of each kind; later ones change little


@dataclass(frozen=True)
class DirectionsRequest:
    """The command line, read and checked; None: as in the run."""

    model: Path
    out: Path
    count: int = 8  # by SeFa, and as many by GANSpace
    attributes: Path | None = None
    data: str | None = None
    judge_data: str | None = None
    crop: str | None = None
    packs: str | None = None
    samples: int = SAMPLES


def owner(model: Path) -> Run | None:
    """Find the run that has a file as its generator or best generator; None without one."""
    run, path = run_of(model), model.absolute()
    own = path in (run.generator.absolute(), run.best_generator.absolute())
    return run if own and run.config.is_file() else None


def config_of(model: Path) -> Config:
    """Read the config of the labeled images: the run's, or that of a folder of images."""
    run = owner(model)
    config = read_config(run.config) if run else Config(dataset="folder")
    # The drawn faces have no labels. Images of --data are cropped like them.
    return replace(config, dataset="folder") if config.dataset == "demo" else config


def parse_directions(argv: Sequence[str] | None = None) -> DirectionsRequest:
    """Read the command line, without TensorFlow; UserError says what is wrong with it."""
    args = _parser().parse_args(argv)
    model = find_generator(args)
    check_file(model, "", "a generator's .keras file")
    out = args.out or home_of(model)
    check_way(Run(out).directions_pictures, f"--out {out}")  # before minutes of work
    return DirectionsRequest(model, out, args.n, **_check_attribute_flags(args, model))


def _check_attribute_flags(args, model):
    names = ("attributes", "data", "judge_data", "packs", "crop", "samples")
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    if args.attributes is None:
        for name in given:
            flag = "--" + name.replace("_", "-")
            raise UserError("needs --attributes FILE as well", flag=flag)
        return {}
    check_scikit_learn("--attributes")
    from dcgan_tf.data.attribute_table import read_attributes  # imports NumPy

    read_attributes(args.attributes)
    run = owner(model)
    if run is None and args.crop is None:
        raise UserError(
            "no config.toml next to it for the crop of its images; add --crop center or "
            "--crop left,upper,right,lower",
            flag=f"--model {model}",
        )
    if run and args.data is None and read_config(run.config).dataset == "demo":
        raise UserError(
            f"{run.root} was trained on demo, whose drawn faces have no attributes; "
            "add --data PATH, the images of this table",
            flag=f"--attributes {args.attributes}",
        )
    if args.crop is not None:
        given["crop"] = check_crop(args.crop)
    return given


def _parser():
    parser = Parser(
        "directions",
        "Find interpretable directions in a generator's latent space; write directions.npz and an "
        "image of latent traversals along each direction.",
        {
            "faces": "GANSpace and SeFa for the bundled generator",
            "latest --attributes list_attr_celeba.txt": "also smile, glasses, ...",
        },
    )
    add_generator_flags(parser)
    add = parser.add_argument
    add("--n", type=number(int, 1, MOST), default=8, metavar="N", help="number of directions by "
        "SeFa and by GANSpace")  # fmt: skip
    add("--out", type=path, metavar="DIR", help="where to write [the run's directory]")
    add("--attributes", type=path, metavar="FILE", help="also find directions of the attributes in "
        "this table: list_attr_celeba.txt, its .csv, a similar file, or a zip")  # fmt: skip
    add("--data", type=path_text, metavar="PATH", help="the images of the table [those of the run]")
    add("--judge-data", type=path_text, metavar="PATH", help="images of other people, for the "
        "attribute classifier that scores the directions [a part of --data]")  # fmt: skip
    add("--crop", metavar="BOX", help="crop of the images if there is no config.toml: "
        "left,upper,right,lower or center")  # fmt: skip
    add("--samples", type=number(int, SAMPLES_LEAST, limits.SAMPLES), metavar="N",
        help=f"number of generated images that are scored [{SAMPLES:,}]")  # fmt: skip
    add("--packs", type=path_text, metavar="DIR", help="folder that caches prepared images "
        "[as in the run]")  # fmt: skip
    return parser
