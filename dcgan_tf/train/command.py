"""Defaults < config file < flags: the command line of training, without importing TensorFlow."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from dcgan_tf.common.cli import Parser, leave, run_command, typed
from dcgan_tf.common.config import (
    FIELDS,
    Config,
    check_value,
    expected,
    find_config,
    flag,
    names,
    read_config,
    resolve,
)
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.log import speak
from dcgan_tf.train.init_from import with_shape


@dataclass(frozen=True)
class Request:
    """What one call of train.py asks for.

    Attributes:
        config: the resolved settings.
        config_name: where they came from, for the run's name.
        run_dir: the directory named by --run, or None for a new numbered one.
        dry_run: print the plan and touch nothing.
    """

    config: Config
    config_name: str
    run_dir: Path | None
    dry_run: bool


def parse_training(argv=None):
    """Read train.py's command line.

    Returns:
        Request: checked as far as flags and files in TOML can be.

    Raises:
        UserError: an unknown flag or key, a wrong type or value, sizes that do not fit.
    """
    parser = Parser(
        prog=typed("train"),
        description="Train a DCGAN. Every setting of a config file is also a flag here.",
        epilog=f"example: {typed('train')} --epochs 200 --subset 2000",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="NAME", help=f"one of {', '.join(names())}, or a file")
    parser.add_argument("--run", metavar="DIR", help="the run's directory; an existing run goes on")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, touch nothing")
    for name, spec in FIELDS.items():
        # Built-in help formatting would print the suppressed defaults: name them ourselves.
        text = f"{spec.metadata['help']} [{_default_text(spec.default)}]".replace("%", "%%")
        if spec.type is bool:
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag(name), dest=name, action=action, help=text)
        else:
            metavar = _metavar(spec)
            parser.add_argument(flag(name), dest=name, metavar=metavar, help=text)
    given = vars(parser.parse_args(argv))
    named, dry_run = given.pop("config", None), given.pop("dry_run", False)
    if given.get("run") == "":
        raise UserError("--run: got an empty text, expected a directory")
    run_dir = Path(given.pop("run")) if "run" in given else None
    saved = run_dir / "config.toml" if run_dir and not named else None
    if saved and saved.is_file():
        base, config_name = read_config(saved), run_dir.name
    else:
        base = read_config(find_config(named or "celeba"))
        base = with_shape(base, given.get("init_from", base.init_from))
        config_name = Path(named or given.get("dataset", "celeba")).stem
    flags = {name: _parse(name, text) for name, text in given.items()}
    for name in ("data", "packs", "init_from"):
        if flags.get(name) == "":
            raise UserError(f"{flag(name)}: got an empty text, expected a path")
    if flags.get("inception") and not Path(flags["inception"]).is_file():
        raise UserError(f"--inception {flags['inception']}: no such file")
    config = resolve(replace(base, **flags))
    return Request(config, config_name, run_dir, dry_run)


def _default_text(default):
    return ",".join(map(str, default)) if isinstance(default, tuple) else default


def _metavar(spec):
    if spec.metadata["choices"]:
        return "|".join(map(str, spec.metadata["choices"]))
    return {int: "N", float: "X", str: "TEXT"}.get(spec.type, "N,N,...")


def _parse(name, text):
    """The value of field `name` from its flag's text."""
    kind = FIELDS[name].type
    try:
        if kind == tuple[int, ...]:
            value = tuple(int(part) for part in text.split(","))
        else:
            value = kind(text)
    except ValueError:
        raise UserError(f"{flag(name)}: got {text!r}, expected {expected(name)}") from None
    check_value(name, value)
    return value


def main(argv=None):
    """Train as the command line asks; the process' exit code."""
    speak()
    request = parse_training(argv)  # bad input is refused before the seconds that TensorFlow takes
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    from dcgan_tf.train.plan import print_plan
    from dcgan_tf.train.training import train

    return print_plan(request) if request.dry_run else train(request)


def run():
    """The command `train.py`, or `dcgan-train` where the package is installed."""
    leave(run_command(main))
