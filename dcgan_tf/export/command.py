"""Export a generator to other formats: `dcgan export RUN --to onnx`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import hub, limits
from dcgan_tf.common.cli import Parser, path
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.pretrained import add_generator_flags, find_generator
from dcgan_tf.common.suggestions import unknown

FORMATS = ("keras", "saved_model", "onnx", "litert", "pytorch")
HUB = "hub"  # a folder with several of them


@dataclass(frozen=True)
class ExportRequest:
    """The request of one call."""

    model: Path
    to: tuple[str, ...]  # some of `FORMATS` and `HUB`, each once
    out: Path | None  # None: the next free folder of the run
    licence: str | None  # an identifier for the hub's card, such as "cc-by-4.0"
    push: str | None  # a repository of the Hugging Face hub


def parse_export(argv: Sequence[str] | None = None) -> ExportRequest:
    """Read the command line, without TensorFlow; UserError says what is wrong with it."""
    args = _parser().parse_args(argv)
    to = _formats(args.to)
    if args.out is not None:
        _check_free(args.out)
    for flag, value in (("--license", args.license), ("--push", args.push)):
        if value is not None and HUB not in to:
            raise UserError(f"{flag}: it is for the folder of --to {HUB}; add that, or leave it")
    if args.license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,60}", args.license):
        raise UserError(
            f"--license: got {limits.shown(args.license)}, expected an identifier such as cc-by-4.0"
        )
    if args.push is not None:
        hub.check_push(args.push, "--push")
    model = find_generator(args)  # last: who mistyped a flag should not first be sent for a model
    check_file(model, "", "a generator's .keras file")
    return ExportRequest(model, to, args.out, args.license, args.push)


def _parser():
    parser = Parser(
        "export",
        "Write a trained generator in other formats. Each is checked against Keras on the same "
        "latents before anything is published.",
        {
            "faces --to onnx,litert": "the bundled generator in two formats",
            "1 --to hub --license cc-by-4.0": "a folder to upload to a model hub",
        },
    )
    add_generator_flags(parser)
    add = parser.add_argument
    known = ",".join((*FORMATS, HUB))
    add("--to", default="keras,saved_model", metavar="LIST", help=f"some of {known} [%(default)s]")
    add("--out", type=path, metavar="DIR", help="a new folder [exported/0001 in the run]")
    add("--license", metavar="ID", help="license on the card of --to hub, such as cc-by-4.0")
    add("--push", metavar="USER/NAME", help="upload the folder of --to hub to the Hugging Face hub")
    return parser


def _formats(text):
    known = (*FORMATS, HUB)
    names = tuple(dict.fromkeys(text.split(",") if text else []))
    for name in names:
        if name not in known:
            raise UserError(unknown("format", name, known), flag="--to")
    if not names:
        raise UserError(f"got an empty list, expected some of {', '.join(known)}", flag="--to")
    return names


def _check_free(path):
    """Refuse a path where no folder can be made: nothing may be there, or an empty folder."""
    if not path.name or path.is_symlink():
        raise UserError("expected the name of a new folder", flag=f"--out {path}")
    if path.exists() and not path.is_dir():
        raise UserError("this is a file, expected a folder", flag=f"--out {path}")
    if path.is_dir() and any(path.iterdir()):
        raise UserError("has files already; name another folder", flag=f"--out {path}")
