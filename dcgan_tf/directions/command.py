"""Find directions in a latent space: `python -m dcgan_tf.directions --run DIR`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.cli import Parser, at_home, check_scikit_learn, number
from dcgan_tf.common.config import check_crop
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import check_way
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.pretrained import add_generator_flags, find_generator, home_of
from dcgan_tf.common.runs import Run, run_of

SAMPLES = 20_000  # that are scored
SAMPLES_LEAST = 2000  # more than twice the longest latent that is taken
MOST = 64  # of each kind: later ones change little, and each has an image


@dataclass(frozen=True)
class DirectionsRequest:
    """The flags of one call; None stands for what belongs to the run."""

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
    """Find the run whose generator, or best generator, a file is; None where no run says so."""
    run, path = run_of(model), model.absolute()
    own = path in (run.generator.absolute(), run.best_generator.absolute())
    return run if own and run.config.is_file() else None


def parse_directions(argv: Sequence[str] | None = None) -> DirectionsRequest:
    """Read the command line, without importing TensorFlow.

    Raises:
        UserError: an unknown flag, an unreadable value, no such generator.
    """
    args = _parser().parse_args(argv)
    count = number("--n", args.n, 8, int, 1, MOST)
    model = find_generator(args)
    check_file(model, "--model", "a generator's .keras file")
    out = home_of(model) if args.out is None else Path(at_home("--out", args.out))
    check_way(Run(out).directions_pictures, f"--out {out}")  # attributes take minutes before
    return DirectionsRequest(model, out, count, **_attribute_flags(args, model))


def _attribute_flags(args, model):
    """The flags for a table of attributes, checked."""
    names = ("attributes", "data", "judge_data", "packs", "crop", "samples")
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    if args.attributes is None:
        for name in given:
            flag = "--" + name.replace("_", "-")
            raise UserError("belongs to --attributes FILE, which is missing", flag=flag)
        return {}
    for name in given.keys() - {"crop", "samples"}:
        given[name] = at_home("--" + name.replace("_", "-"), given[name])
    path = given["attributes"] = Path(given["attributes"])
    _check_attributes(path, args.data, owner(model))
    if args.crop is not None:
        given["crop"] = check_crop(args.crop)
    most = limits.SAMPLES
    given["samples"] = number("--samples", args.samples, SAMPLES, int, SAMPLES_LEAST, most)
    return given


def _check_attributes(path, data, run):
    """Refuse now what would be refused after minutes of preparing images."""
    check_scikit_learn("--attributes")
    from dcgan_tf.directions.attribute_table import read_attributes  # imports NumPy

    read_attributes(path)
    if data is None and run is not None and read_config(run.config).dataset == "demo":
        raise UserError(
            f"{run.root} was trained on demo, drawn faces that no table is of; "
            "add --data PATH, the images of this table",
            flag=f"--attributes {path}",
        )


def _parser():
    parser = Parser(
        prog="python -m dcgan_tf.directions",
        description="Find interpretable directions in a generator's latent space, write them to "
        "directions.npz and an image of latent traversals for each.",
        epilog="example: python -m dcgan_tf.directions --pretrained faces",
        argument_default=None,
    )
    add_generator_flags(parser)
    add = parser.add_argument
    add("--n", metavar="N", help="directions by SeFa and as many by GANSpace [8]")
    add("--out", metavar="DIR", help="where to write [the run's directory]")
    add("--attributes", metavar="FILE", help="a table of attributes, whose directions are found as "
        "well: list_attr_celeba.txt, its .csv, a table like them, or a zip of one")  # fmt: skip
    add("--data", metavar="PATH", help="the images of that table [those of the run]")
    add("--judge-data", metavar="PATH", help="images of other people, for the attribute classifier "
        "that judges the directions [a part of --data]")  # fmt: skip
    add("--crop", metavar="BOX", help="crop of these images, where no config.toml says it: "
        "left,upper,right,lower or center")  # fmt: skip
    add("--samples", metavar="N", help=f"generated images that are scored [{SAMPLES:,}]")
    add("--packs", metavar="DIR", help="where packs of the images are kept [as in the run]")
    return parser
