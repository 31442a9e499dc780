"""Find directions in a latent space: `python -m dcgan_tf.directions --run DIR`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.cli import (
    Parser,
    at_home,
    check_scikit_learn,
    number,
)
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import check_way
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.pretrained import add_generator_flags, find_generator, home_of
from dcgan_tf.common.resolve import check_crop
from dcgan_tf.common.runs import Run, run_of

SAMPLES = 20_000  # that are scored


@dataclass(frozen=True)
class DirectionsRequest:
    """What one call asks for.

    Attributes:
        model: the generator's file; out: the folder that is written into; count: how many
            directions of the first kernel, and as many of the first maps.
        attributes: a table of attributes, or None for no directions of labels.
        data, judge_data: labelled pictures of the first head and of the one that judges; None for
            the run's, and for others of the same data.
        crop: how they are cropped, None as the run has it; packs: where they are kept prepared.
        samples: generated pictures that are scored.
    """

    model: Path
    out: Path
    count: int = 8
    attributes: Path | None = None
    data: str | None = None
    judge_data: str | None = None
    crop: str | None = None
    packs: str | None = None
    samples: int = SAMPLES


def owner(model: Path) -> Run | None:
    """The run whose generator, or best generator, a file is; None where no run says so."""
    run, path = run_of(model), model.absolute()
    own = path in (run.generator.absolute(), run.best_generator.absolute())
    return run if own and run.config.is_file() else None


SAMPLES_LEAST = 2000  # more than twice the longest latent that is taken
MOST = 64  # of each kind: later ones change little, and each has a picture


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
    return DirectionsRequest(model, out, count, **_of_attributes(args, model))


def _of_attributes(args, model):
    """dict: what belongs to a table of attributes, checked."""
    if args.attributes is None:
        for name in ("data", "judge_data", "crop", "packs", "samples"):
            if getattr(args, name) is not None:
                flag = "--" + name.replace("_", "-")
                raise UserError(f"{flag}: belongs to --attributes FILE, which is missing")
        return {}
    given = {
        name: at_home("--" + name.replace("_", "-"), getattr(args, name))
        for name in ("attributes", "data", "judge_data", "packs")
        if getattr(args, name) is not None
    }
    given["attributes"] = Path(given["attributes"])
    _check_attributes(given["attributes"], given.get("data"), owner(model))
    if args.crop is not None:
        given["crop"] = check_crop(args.crop)
    given["samples"] = number(
        "--samples", args.samples, SAMPLES, int, SAMPLES_LEAST, limits.SAMPLES
    )
    return given


def _check_attributes(path, data, run):
    """Refuse what no picture needs to be prepared for: that takes minutes."""
    check_scikit_learn("--attributes")
    from dcgan_tf.directions.attribute_table import (
        check_table,  # with NumPy, which other calls go without
    )

    check_table(path)
    if data is None and run is not None and read_config(run.config).dataset == "demo":
        raise UserError(
            f"{run.root} was trained on demo, drawn faces that no table is of; "
            "add --data PATH, the pictures of this table",
            flag=f"--attributes {path}",
        )


def _parser():
    parser = Parser(
        prog="python -m dcgan_tf.directions",
        description="Find directions in a generator's latent space that mean something, write "
        "them to directions.npz and a picture of each.",
        epilog="example: python -m dcgan_tf.directions --pretrained faces",
        argument_default=None,
    )
    add_generator_flags(parser)
    add = parser.add_argument
    add("--n", metavar="N", help="directions of the first kernel and of the first maps, each [8]")
    add("--out", metavar="DIR", help="where to write [the run's directory]")
    add(
        "--attributes",
        metavar="FILE",
        help="a table of attributes, such as list_attr_celeba.txt, "
        "its .csv, or a zip of one: directions for its attributes as well",
    )
    add("--data", metavar="PATH", help="the pictures of that table [those of the run]")
    add(
        "--judge-data",
        metavar="PATH",
        help="pictures of other people, of the head that judges [a part of --data]",
    )
    add(
        "--crop",
        metavar="BOX",
        help="of these pictures, where no config.toml says it: left,upper,right,lower or center",
    )
    add("--samples", metavar="N", help=f"generated pictures that are scored [{SAMPLES:,}]")
    add("--packs", metavar="DIR", help="where prepared pictures are kept [that of the run]")
    return parser
