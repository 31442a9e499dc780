"""The command line of train.py: defaults < config file < flags."""

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dcgan_tf.common import limits
from dcgan_tf.common.cli import Parser, at_home
from dcgan_tf.common.config import (
    FIELDS,
    Config,
    check_value,
    expected,
    flag,
    groups,
    merge_settings,
    parse_count,
)
from dcgan_tf.common.config_file import find_config, names, read_config, read_table
from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.runs import Run, started_in
from dcgan_tf.common.suggestions import typed
from dcgan_tf.train.init_from import init_files, with_shape

PATHS = ("data", "packs", "init_from", "inception")
RECIPE = "celeba"  # the reference, which train.py follows where no other is named


@dataclass(frozen=True)
class Request:
    """The request of one call of train.py, or of dcgan_tf.train.

    Attributes:
        config_name: where the settings came from, for the run's name.
        run_dir: the directory named by --run, or None for a new numbered one.
        dry_run: print the plan and touch nothing.
        check: print what it would run on, time ten steps, and touch nothing.
        given: a `loss` and `networks` from a program, in place of those that the config names.
        named: the settings that the command line names.
        images: images.open_images, None before.
    """

    config: Config
    config_name: str
    run_dir: Path | None
    dry_run: bool = False
    check: bool = False
    given: dict = field(default_factory=dict)
    callbacks: tuple = ()
    named: frozenset[str] = frozenset()
    images: tuple | None = None


def parse_training(argv: list[str] | None = None) -> Request:
    """Read train.py's command line, and check it as far as flags and files in TOML tell.

    Raises:
        UserError: an unknown flag or key, a wrong type or value, sizes that do not fit.
    """
    given = vars(_parser().parse_args(argv))
    named, dry_run = given.pop("config", None), given.pop("dry_run", False)
    check = given.pop("check", False)
    run_dir = _run_dir(given.pop("run")) if "run" in given else None
    base, config_name = _base(named, run_dir, given)
    flags = {name: _parse(name, text) for name, text in given.items()}
    for name in ("data", "packs", "init_from"):
        if flags.get(name) == "":
            raise UserError(f"{flag(name)}: got an empty text, expected a path")
    settings = merge_settings(base, flags)
    settings |= {n: _at_home(flag(n), settings[n]) for n in PATHS if n in settings}
    if flags.get("inception"):
        check_file(Path(settings["inception"]), "--inception", ".tgz or .npz")
    if run_dir and started_in(Run(run_dir)) not in (None, Path.cwd()):
        # In config.toml a relative path starts from the directory that the run was started in.
        here = {n: settings[n] for n in ("data", "packs", "inception") if flags.get(n)}
        settings |= {n: os.path.abspath(path) for n, path in here.items() if path not in FETCHED}
    config = Config(**settings)
    most = limits.GRID_PIXELS // config.image_size**2
    if config.sample_count > most:
        raise UserError(
            f"--sample-count {config.sample_count}: a grid of images of {config.image_size}x"
            f"{config.image_size} holds at most {most:,}; generate.py makes any number of files"
        )
    return Request(config, config_name, run_dir, dry_run, check, named=frozenset(flags))


def _parser() -> Parser:
    parser = Parser(
        prog=typed("train"),
        usage=f"{typed('train')} [--config NAME] [--run DIR] [--dry-run | --check] "
        "[--SETTING VALUE ...]",
        description="Train a DCGAN. Every setting of a config file is also a flag here.",
        epilog=f"example: {typed('train')} --epochs 200 --subset 2000",
        argument_default=argparse.SUPPRESS,
        values={name: f"--config {name}" for name in names()},
    )
    parser.add_argument("--config", metavar="NAME", help=f"one of {', '.join(names())}, or a file")
    parser.add_argument(
        "--run", metavar="DIR", help="the run's directory; an existing run is resumed"
    )
    instead = parser.add_mutually_exclusive_group()
    for name, words in (
        ("--dry-run", "print the plan, touch nothing"),
        ("--check", "print what it would run on, time ten steps, touch nothing"),
    ):
        instead.add_argument(name, action="store_true", help=words)
    recipe = read_config(find_config(RECIPE))
    for heading, members in groups().items():
        group = parser.add_argument_group(heading)
        for name in members:
            spec = FIELDS[name]
            # argparse's own formatting would print the suppressed defaults: name them ourselves.
            text = (spec.metadata["help"] + _default_text(getattr(recipe, name))).replace("%", "%%")
            more: dict[str, Any] = {"metavar": _metavar(spec)}
            if spec.type is bool:
                more = {"action": argparse.BooleanOptionalAction}
            group.add_argument(flag(name), dest=name, help=text, **more)
    return parser


def _run_dir(text) -> Path:
    if not text or "\0" in text:
        raise UserError(f"--run: got {limits.shown(text)}, expected a directory, existing or new")
    return Run(_at_home("--run", text)).root


def _at_home(flag, text) -> str:
    """A path (of --init-from two) with the folder that ~ or ~name stands for."""
    paths = text.split(",") if flag == "--init-from" else [text]
    return ",".join(path and at_home(flag, path) for path in paths)


def _base(named, run_dir, given) -> tuple[dict[str, Any], str]:
    """The settings that the flags change, and their name.

    An existing run resumes with its own settings. Else it is the recipe that --config names, or
    the reference recipe; but with other images than CelebA the plain defaults, for a recipe's
    subset is one of its own images. Networks that --init-from names bring their shape.
    """
    saved = run_dir / "config.toml" if run_dir and not named else None
    if saved and saved.is_file():
        return read_table(saved), run_dir.resolve().name
    dataset = given.get("dataset", "celeba")
    plain = not named and dataset != "celeba"
    base = {} if plain else read_table(find_config(named or RECIPE))
    init_from = _at_home("--init-from", given.get("init_from", base.get("init_from", "")))
    base = with_shape(base, init_from, own=bool(named) and named not in names())
    return base, Path(dataset if plain else named or RECIPE).stem


def _default_text(default) -> str:
    if isinstance(default, bool):
        return " [yes]" if default else " [no]"
    text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return f" [{text}]" if text else ""


def _metavar(spec) -> str:
    if spec.metadata["choices"]:
        return "|".join(map(str, spec.metadata["choices"]))
    return {int: "N", float: "X", str: "TEXT"}.get(spec.type, "N,N,...")


def _parse(name, text) -> Any:
    """The value of field `name` from its flag's text."""
    kind: Any = FIELDS[name].type
    try:
        if kind == tuple[int, ...]:
            value = tuple(int(part) for part in text.split(","))
        else:
            value = parse_count(text) if kind is int else kind(text)
    except ValueError:
        raise UserError(
            f"got {limits.shown(text)}, expected {expected(name)}", param=name
        ) from None
    check_value(name, value)
    return value


def check_request(request: Request):
    """Raise UserError for a run or networks that the settings do not fit, as far as files tell."""
    run = request.run_dir and Run(request.run_dir)
    if not (run and run.config.is_file()):  # an existing run does not need these networks any more
        init_files(request.config.init_from)
    if run and not os.environ.get("TF_CONFIG"):  # of several workers only the chief looks at it
        from dcgan_tf.train import run_lock  # --help need not wait for what it imports

        run_lock.check_run(run, request.config)


def prepare(request: Request) -> Request:
    """Refuse bad input before the seconds that TensorFlow takes, then start it.

    Returns:
        The request with its images, opened and counted.

    Raises:
        UserError: as check_request, no usable images, or too little memory.
    """
    check_request(request)
    from dcgan_tf.train.images import find_images  # --help need not wait for what it imports

    request = find_images(request)
    if "tensorflow" in sys.modules:  # of a program, or a notebook, which has set it as it likes
        import tensorflow as tf

        on_gpu = bool(tf.config.list_physical_devices("GPU"))
    else:
        from dcgan_tf.common.start_tensorflow import start_tensorflow

        on_gpu = start_tensorflow()
    from dcgan_tf.train.memory import check_memory

    check_memory(request.config, on_gpu)
    return request
