"""Look at images before a training: `python -m dcgan_tf.data DIR`."""

import logging
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from dcgan_tf.common.cli import Parser, number, path, path_text, run
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.limits import SIDE
from dcgan_tf.common.log import speak
from dcgan_tf.common.pages import check_place
from dcgan_tf.common.suggestions import path_flag, typed

MARK = {"generator": "dcgan_tf data"}  # text that identifies a PNG of this command
log = logging.getLogger("dcgan_tf.data")  # also where this file is "__main__"


def parse_data(argv: Sequence[str] | None = None) -> Namespace:
    """Read the command line, without TensorFlow; UserError says what is wrong with it."""
    parser = Parser(
        "data",
        "Examine a folder or zip of images: their number and sizes, what a training would skip or "
        "crop and why, and a random sample as a grid. It trains nothing.",
        {
            "photos": "a folder of images, with a sample in data.png",
            "photos.zip --fit pad": "prepare them as a training with --fit pad does",
            "hf:ylecun/mnist:test": "a split of a data set of the Hugging Face hub",
        },
    )
    add = parser.add_argument
    add("data", type=path_text, nargs="?", metavar="DIR", help="a folder or a zip of images, or "
        "hf:NAME[:SPLIT[:COLUMN]], a data set of the Hugging Face hub")  # fmt: skip
    add("--out", type=path, metavar="FILE", default=Path("data.png"), help="the PNG [data.png]")
    add("--image-size", type=number(int, 4, SIDE), metavar="N", default=64,
        help="height and width of the training images, in pixels")  # fmt: skip
    add("--fit", choices=("crop", "pad", "stretch"), default="crop",
        help="how images become square [crop]")  # fmt: skip
    args = parser.parse_args(argv)
    if args.data is None:
        raise UserError("needs a folder or a zip of images", flag="DIR")
    flag = f"--out {args.out}"
    if args.out.suffix.lower() != ".png":
        raise UserError("expected the name of a PNG, such as data.png", flag=flag)
    if Path(args.data).resolve() in args.out.resolve().parents:
        words = "would be one of the images; name a place outside of their folder"
        raise UserError(f"{words}, such as --out {Path('..', args.out.name)}", flag=flag)
    if args.out.parent.is_dir():
        check_place(args.out, "grid of this command", "--out", "\0".join(*MARK.items()).encode())
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Survey the images, and write the grid."""
    args = parse_data(argv)
    speak()
    # --help need not wait for what these import.
    from dcgan_tf.common.files import make_directory
    from dcgan_tf.common.images import default_scale, enlarge, grid, save_png
    from dcgan_tf.data.survey import survey

    try:
        lines, sample = survey(args.data, args.image_size, args.fit)
    except UserError as error:  # the place is given without a flag here
        raise UserError(error.message, flag=error.flag.removeprefix("--data ")) from None
    for level, line in lines:
        log.log(level, line)
    if len(sample):
        make_directory(args.out.absolute().parent, "--out")
        canvas = grid(sample)
        save_png(args.out, enlarge(canvas, default_scale(canvas.shape[1])), MARK)
        log.info(f"wrote {args.out}: {len(sample)} images chosen at random, {args.fit}")
    size = f" --image-size {args.image_size}" * (args.image_size != 64)
    fit = f" --fit {args.fit}" * (args.fit != "crop")
    log.info(f"next: {path_flag(typed('train'), args.data)}{size}{fit}")


if __name__ == "__main__":
    run(main)
